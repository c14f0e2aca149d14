// How images and their names are kept on disk. Module-private. docs/formats/image-store.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "images/image_store.h"

namespace kist::images {

inline constexpr std::string_view kRecords = "images/records";
inline constexpr std::string_view kNames = "images/names";
inline constexpr std::string_view kLockFile = "images/lock";
inline constexpr std::string_view kRecordEnd = ".roots";
inline constexpr uint64_t kMaxRecordBytes = 1u << 20;

/// Below the store's home.
std::string record_path(const oci::Digest& digest);
std::string name_path(std::string_view name);

std::string name_text(std::string_view name, const oci::Digest& digest);
/// Empty when it is damaged.
std::optional<std::pair<std::string, oci::Digest>> parse_name(std::string_view text);

/// The documents of an image as a tree, so that gc and fsck know them.
Result<oci::Digest> put_documents(store::Transaction& tx, const Image& image);
Result<std::string> read_document(const store::Store& store, const store::Tree& documents, std::string_view name);
/// A list of digests: documents, merged tree, then two trees for each layer. gc reads it as pins.
std::string record_text(const oci::Digest& documents, const Image& image);

}  // namespace kist::images

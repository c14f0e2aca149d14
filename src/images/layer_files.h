// The trees that layers are kept in, for those who write them. Module-private.
// docs/formats/image-store.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "images/layer.h"

namespace kist::images {

/// The entry of a blob's tree with the layer's line.
inline constexpr std::string_view kAboutEntry = "about";
/// One of these two has what its bytes are written from: themselves, or what makes them of a tree's contents.
inline constexpr std::string_view kBytesEntry = "bytes";
inline constexpr std::string_view kRecipeEntry = "recipe";

store::Entry file_entry(std::string path, const store::Object& object, uint32_t mode = 0644);

/// What a blob's tree says of its layer; empty when it cannot be read.
std::optional<Layer> read_about(const store::Store& store, const oci::Digest& blob);

}  // namespace kist::images

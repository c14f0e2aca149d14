// Layers in the store: unpacked once, found again by the digest of their tar, given away again bit
// for bit. docs/formats/image-store.md.
#pragma once

#include <optional>
#include <string>

#include "archive/decompress.h"
#include "oci/digest.h"
#include "oci/image.h"
#include "store/layer.h"
#include "store/store.h"

namespace kist::images {

struct Layer {
  oci::Digest digest;   // Of the bytes as they came, mostly compressed.
  uint64_t size_bytes;  // Of those.
  oci::Digest diff_id;  // Of the tar.
  uint64_t tar_bytes;
  archive::TarFilter compression;
  uint64_t content_bytes;  // Sum of the sizes of its files.
  oci::Digest tree;        // What it holds, in the form of layer_entries.h.
  oci::Digest blob;        // A tree with what is needed to write its bytes again.
  oci::Annotations annotations = {};  // Of its descriptor in manifests that are made here.
};

/// What is known of a layer before it is read. What is given is checked.
struct LayerClaim {
  std::optional<oci::Digest> digest;
  std::optional<uint64_t> size_bytes;
  std::optional<oci::Digest> diff_id;
};

/// A layer that is in the store, or was put there by this transaction, whole. Costs a few small
/// reads. Errors: unavailable.
Result<std::optional<Layer>> find_layer(const store::Store& store, const store::Transaction* tx,
                                        const oci::Digest& digest);

/// Reads a layer in one pass: hash, decompress on a thread of its own, hash, objects. Compression is
/// told by the bytes. A compressed layer's own bytes are kept beside what is in it; a plain one is
/// taken apart into contents and what lies between them. Names it for others by commit().
///
/// Threads: any number at once in one transaction. Memory: some 10 MB and 300 bytes an entry.
/// Errors: corrupt (another digest, size or diff id than claimed; damaged), invalid (a hostile
/// path; over a limit: a million entries, 64 GiB, 2,000 times its own size), unavailable, those of
/// `raw`.
Result<Layer> store_layer(store::Transaction& tx, archive::Source raw, const LayerClaim& claim);

/// The layer's bytes as they came, or its plain tar. Checked against their digest while they are
/// written, so an error may come after all but the last of them.
/// Errors: corrupt (hint: fsck), those of `output`.
Result<void> write_blob(const store::Store& store, const Layer& layer, const store::Output& output);
Result<void> write_plain(const store::Store& store, const Layer& layer, const store::Output& output);

/// The file that holds the layer's bytes exactly as they came; empty for one that is written from a
/// recipe. Errors: not_found, corrupt.
Result<std::optional<std::string>> blob_path(const store::Store& store, const Layer& layer);

/// Names of the store that stand for the two trees of a layer.
std::string layer_name(const oci::Digest& diff_id);
std::string blob_name(const oci::Digest& digest);

/// One line of text, and back. Errors: corrupt.
std::string layer_line(const Layer& layer);
Result<Layer> parse_layer_line(std::string_view line);

std::string_view compression_name(archive::TarFilter compression);

}  // namespace kist::images

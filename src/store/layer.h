// Trees as layers of an image: a deterministic tar, compressed, written straight from the store's
// objects. The same tree gives the same bytes on every machine. docs/formats/layer.md.
//
//   const Layer layer = TRY(write_layer(tree, StoreContents(store), [&](std::string_view bytes) {
//     return upload.write(bytes);
//   }));
#pragma once

#include <functional>
#include <string_view>

#include "store/store.h"

namespace kist::store {

/// Named in images and part of every cache key of a layer: whoever changes a byte of what the
/// writers below give for some tree changes this.
inline constexpr std::string_view kLayerRecipe = "tar-1+zstd-3";
inline constexpr std::string_view kLayerMediaType = "application/vnd.oci.image.layer.v1.tar+zstd";

/// Takes the next bytes; an error of it ends the writing and is returned.
using Output = std::function<Result<void>(std::string_view)>;

/// Where the contents of files are read. Threads: any number at once.
class Contents {
 public:
  virtual ~Contents() = default;
  /// Gives all bytes of the file's object to `output`, in pieces. Errors: not_found, corrupt (they
  /// are not what the object's name and size say), those of `output`.
  virtual Result<void> read(const Entry& file, const Output& output) const = 0;
};

class StoreContents final : public Contents {
 public:
  /// `store` must outlive this.
  explicit StoreContents(const Store& store) : store_(store) {}
  Result<void> read(const Entry& file, const Output& output) const override;

 private:
  const Store& store_;
};

struct Tar {
  oci::Digest diff_id;
  uint64_t size_bytes;
};

/// POSIX ustar, with a pax header only before entries that need one. Order and metadata are the
/// tree's. Errors: those of reading and of `output`, unsupported (an extended attribute's name with
/// a '=', which pax cannot express).
Result<Tar> write_tar(const Tree& tree, const Contents& contents, const Output& output);

struct Layer {
  oci::Digest digest;   // Of the compressed bytes, as they go to a registry.
  uint64_t size_bytes;  // Of those.
  oci::Digest diff_id;  // Of the tar.
  uint64_t tar_bytes;
};

/// The tar through zstd, one frame, level 3, with checksum. Memory: some 10 MB, whatever the tree.
Result<Layer> write_layer(const Tree& tree, const Contents& contents, const Output& output);

/// A tree that is too large for one layer, in parts of at most `limit_bytes` of content each (or
/// one file, if that is larger), cut between files in path order. Each part has the folders that
/// lead to what it holds, so that the parts give the tree again in any order. A tree within the
/// limit comes back whole.
std::vector<Tree> split_tree(const Tree& tree, uint64_t limit_bytes);

}  // namespace kist::store

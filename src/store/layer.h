// Trees as layers of an image: a deterministic tar, compressed, written straight from the store's
// objects. The same tree gives the same bytes on every machine. docs/formats/layer.md.
//
//   const Layer layer = TRY(write_layer(tree, StoreContents(store), [&](std::string_view bytes) {
//     return upload.write(bytes);
//   }));
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "store/compressor.h"
#include "store/store.h"

namespace kist::store {

/// Part of every cache key of a layer: whoever changes a byte of the tar that write_tar() gives for
/// some tree changes this. Compression::recipe() is the other half.
inline constexpr std::string_view kTarRecipe = "tar-1";

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
  std::map<std::string, std::string> annotations;  // That readers want in the descriptor; mostly none.
};

/// The tar, compressed: zstd as one frame with checksum, zstd:chunked as chunked_layer.h says, gzip as
/// members of 2 MiB each. Memory: some 10 MB, whatever the tree; of zstd:chunked its table beside, compressed.
Result<Layer> write_layer(const Tree& tree, const Contents& contents, const Output& output,
                          const Compression& compression = {});

/// A tree that is too large for one layer, in parts of at most `limit_bytes` of content each (or
/// one file, if that is larger), cut between files in path order. Each part has the folders that
/// lead to what it holds, so that the parts give the tree again in any order. A tree within the
/// limit comes back whole.
std::vector<Tree> split_tree(const Tree& tree, uint64_t limit_bytes);

}  // namespace kist::store

// The two documents at the end of a zstd:chunked layer: the table of contents, from which a reader makes
// the files, and the tar-split data, from which it makes the tar around them. docs/formats/layer.md.
// Module-private.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "store/compressor.h"
#include "store/tree.h"

namespace kist::store {

/// A part of a file's content, and where its frame lies in the layer.
struct Chunk {
  uint64_t offset;      // Of the frame.
  uint64_t end_offset;  // Behind it.
  uint64_t size_bytes;  // Of the content.
  oci::Digest digest;   // Of the content.
};

/// Whether both documents can say all that the tree has: JSON has no bytes that are not UTF-8, and no
/// time outside the years 0 to 9999.
bool is_describable(const Tree& tree);

/// A JSON document that is compressed while it is written. Not movable.
class PackedDocument {
 public:
  explicit PackedDocument(int level);
  PackedDocument(const PackedDocument&) = delete;
  PackedDocument& operator=(const PackedDocument&) = delete;

  void write(std::string_view text);
  /// Once, after the last text: the compressed bytes.
  const std::string& finish();
  uint64_t plain_bytes() const { return plain_bytes_; }

 private:
  std::string packed_;
  uint64_t plain_bytes_ = 0;
  Output output_;  // Before who uses it.
  std::unique_ptr<Compressor> compressor_;
};

/// Entries in the order of the tar. Memory: that of the compressed documents.
class ChunkedToc {
 public:
  explicit ChunkedToc(int level);

  /// Bytes of the tar that are no content: what is left of the file before, and a header.
  void add_segment(std::string_view bytes);
  /// Whose header was the last segment. `chunks` and `crc64`: of its content, if it has any.
  void add_entry(const Entry& entry, const std::vector<Chunk>& chunks, uint64_t crc64);
  /// The frames to follow the tar's, which ends at `offset`, and the annotations of the layer.
  std::string finish(uint64_t offset, std::map<std::string, std::string>& annotations);

 private:
  PackedDocument contents_;
  PackedDocument tar_split_;
  uint64_t entries_ = 0;
  uint64_t positions_ = 0;
};

}  // namespace kist::store

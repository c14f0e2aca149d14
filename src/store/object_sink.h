// Where file contents go while a package is turned into a tree.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "store/tree.h"

namespace kist::store {

struct Object {
  oci::Digest digest;
  uint64_t size_bytes;
};

/// One object that is written in pieces. Dropping it without finish() leaves nothing behind.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual Result<void> write(std::string_view bytes) = 0;
  virtual Result<Object> finish() = 0;
};

/// Takes contents and names them. Implementations: store::Transaction (the real one) and
/// MemorySink (tests, and installers that only want to know the digests).
///
/// Threads: put() and begin() may be called from any thread; a writer belongs to one.
class ObjectSink {
 public:
  virtual ~ObjectSink() = default;
  /// `mode`: the permission bits that the file will have in its tree. It matters because a link
  /// shares its inode's mode, so content with two modes is kept as two inodes.
  virtual Result<Object> put(std::string_view bytes, uint32_t mode) = 0;
  /// For contents too large to be in memory whole (above some 16 MiB).
  virtual Result<std::unique_ptr<ObjectWriter>> begin(uint32_t mode) = 0;
};

/// Collects the entries of one package. Paths are checked when finish() makes the tree.
class TreeBuilder {
 public:
  explicit TreeBuilder(ObjectSink& sink) : sink_(sink) {}

  void folder(std::string path, uint32_t mode = 0755);
  void symlink(std::string path, std::string target);
  Result<void> file(std::string path, uint32_t mode, std::string_view bytes);
  /// An entry whose object is already in the sink.
  void add(Entry entry) { entries_.push_back(std::move(entry)); }
  ObjectSink& sink() { return sink_; }
  Result<Tree> finish() &&;

 private:
  ObjectSink& sink_;
  std::vector<Entry> entries_;
};

}  // namespace kist::store

// Where a registry keeps what it is given. Two kinds of things: blobs, by their digest, written once
// and never changed; and small texts by key, which say what belongs to which repository (catalog.h).
//
// Implementations: FolderStorage, S3Storage. Threads: all methods from any. All may wait for a disk
// or a network; get(), has() and open_blob() of a folder only touch its page cache, mostly.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http_server/growing_file.h"
#include "os/fd.h"
#include "registry_server/content_digest.h"

namespace kist::registry_server {

/// A blob that can be read: from a file, from one that is still being written, or by asking another server.
struct BlobSource {
  using Write = std::function<Result<void>(std::string_view bytes)>;
  uint64_t size_bytes = 0;
  int64_t modified_s = 0;             // Unix time.
  std::shared_ptr<const os::Fd> file; // Null: use `growing` or `copy`.
  std::shared_ptr<http_server::GrowingFile> growing;  // It is on its way here.
  std::function<Result<void>(uint64_t offset, uint64_t size_bytes, const Write& write)> copy;

  /// All of it. Errors: invalid (over the limit), those of reading.
  Result<std::string> read(uint64_t limit_bytes) const;
};

/// A file of the staging folder, whole and verified, that becomes a blob. Removed with this object
/// unless a storage took it.
class StagedFile {
 public:
  StagedFile(std::string path, os::Fd file, uint64_t size_bytes)
      : path_(std::move(path)), file_(std::move(file)), size_bytes_(size_bytes) {}
  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&&) = delete;
  ~StagedFile();
  const std::string& path() const { return path_; }
  const os::Fd& file() const { return file_; }
  uint64_t size_bytes() const { return size_bytes_; }
  /// Its name is gone: nothing is left to remove.
  void taken() { path_.clear(); }

 private:
  std::string path_;
  os::Fd file_;
  uint64_t size_bytes_;
};

/// What lies directly below a key that ends with '/'.
struct Listing {
  std::vector<std::string> folders;  // Without '/'. Both sorted bytewise.
  std::vector<std::string> files;
};

struct StoredBlob {
  ContentDigest digest;
  uint64_t size_bytes = 0;
  int64_t modified_s = 0;
};

class Storage {
 public:
  virtual ~Storage() = default;

  virtual Result<std::optional<std::string>> get(const std::string& key) = 0;
  virtual Result<bool> has(const std::string& key) = 0;
  /// Unix time of the last put() or touch(); none when it is not there.
  virtual Result<std::optional<int64_t>> modified(const std::string& key) = 0;
  /// `is_durable`: survives a power cut once this returns, and so do blobs and texts put before.
  virtual Result<void> put(const std::string& key, std::string_view text, bool is_durable) = 0;
  virtual Result<void> touch(const std::string& key) = 0;
  /// False when it was not there.
  virtual Result<bool> remove(const std::string& key) = 0;
  virtual Result<Listing> list(const std::string& prefix) = 0;

  virtual Result<std::optional<BlobSource>> open_blob(const ContentDigest& digest) = 0;
  /// Makes a blob young again for the garbage collection. False when it is not there.
  virtual Result<bool> touch_blob(const ContentDigest& digest) = 0;
  /// A blob that is there already stays.
  virtual Result<void> put_blob(const ContentDigest& digest, StagedFile file) = 0;
  virtual Result<bool> remove_blob(const ContentDigest& digest) = 0;
  virtual Result<std::vector<StoredBlob>> blobs() = 0;
  /// Ends what puts of blobs that were broken off before that time have left, where that is not a file of Uploads;
  /// how many there were.
  virtual Result<size_t> end_abandoned(int64_t) { return 0u; }

  /// Keeps other processes off: several may hold it shared, or one alone. Ends with the descriptor,
  /// which is empty where there are no other processes (a bucket has one server).
  virtual Result<os::Fd> lock(bool is_alone) = 0;

  /// Whether get(), has() and open_blob() are quick enough for the thread of a connection.
  virtual bool is_quick() const = 0;
};

}  // namespace kist::registry_server

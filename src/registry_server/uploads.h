// Blobs on their way here. An upload is a file in the staging folder, named by its id; its client may
// go on with it over any number of requests, after a broken connection, and after a restart of ours.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "registry_server/storage.h"

namespace kist::registry_server {

/// One upload. One thread at a time: who has it from Uploads::take() has it alone.
class Upload {
 public:
  Upload(std::string id, std::string path, os::Fd file);

  const std::string& id() const { return id_; }
  uint64_t size_bytes() const { return size_bytes_; }
  /// Appends, and hashes. Errors: those of writing; what was written of the piece is taken back.
  Result<void> append(std::string_view bytes);
  /// What came so far, for reading.
  Result<os::Fd> reader() const;
  /// Ends it: the file, if its bytes have that digest. Errors: corrupt (they have another), those of
  /// reading. Anyway this object is of no more use, and nothing is left of a file that is not returned.
  Result<StagedFile> finish(const ContentDigest& digest);

 private:
  friend class Uploads;
  Result<void> rehash(Algorithm algorithm);

  std::string id_;
  std::string path_;
  os::Fd file_;
  uint64_t size_bytes_ = 0;
  Hasher hasher_;
  std::chrono::steady_clock::time_point used_;
};

/// Threads: any.
class Uploads {
 public:
  struct Options {
    std::string folder;  // Made when missing.
    std::chrono::seconds expiry{3600};
    size_t limit = 10'000;  // Of open uploads.
  };
  explicit Uploads(Options options) : options_(std::move(options)) {}

  /// Errors: unavailable (too many), those of making a file.
  Result<std::unique_ptr<Upload>> begin(const std::string& repository, Algorithm algorithm = Algorithm::sha256);
  /// Gives an upload to the caller alone. Null: it is not there, or of another repository. Reads the
  /// file when it is of an earlier process: may wait. Errors: exists (another request has it).
  Result<std::unique_ptr<Upload>> take(const std::string& repository, std::string_view id);
  /// Whether take() would have to read the file.
  bool is_known(std::string_view id) const;
  /// After take(): others may have it again.
  void put_back(std::unique_ptr<Upload> upload);
  /// After take(): it is over, and its file is gone or somebody else's.
  void forget(std::string_view id);
  /// After take(): removes its file.
  void cancel(std::unique_ptr<Upload> upload);
  /// Removes those that nobody has used for the expiry time.
  void expire();
  size_t size() const;

 private:
  std::string path_of(std::string_view id) const { return options_.folder + "/" + std::string(id); }

  Options options_;
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Upload>, std::less<>> open_;  // Null: somebody has it.
};

}  // namespace kist::registry_server

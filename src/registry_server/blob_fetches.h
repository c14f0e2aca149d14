// Blobs on their way here from another registry. Each comes once, however many ask for it meanwhile; they
// get its bytes as they come. What has come when a connection breaks is kept, and the rest asked for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "registry_server/catalog.h"
#include "registry_server/uploads.h"
#include "registry_server/web.h"

namespace kist::registry_server {

/// Threads: any. A few of its own do the work.
class BlobFetches {
 public:
  /// Asks the other registry, with what it wants to be asked with.
  using Ask = std::function<Result<WebAnswer>(const std::string& repository, WebRequest request)>;
  struct Options {
    std::string url;              // "https://registry.example"
    uint64_t limit_bytes = 0;     // Of a blob.
    size_t at_once = 32;
    std::chrono::milliseconds first_back_off{250};  // Before what broke is asked for again; doubles each time.
  };
  /// References outlive this.
  BlobFetches(Options options, Ask ask, Catalog& catalog, Uploads& uploads);
  /// stop(), and waits for its threads.
  ~BlobFetches();
  BlobFetches(const BlobFetches&) = delete;
  BlobFetches& operator=(const BlobFetches&) = delete;

  /// Begins or joins. Returns when the other registry has said how large the blob is. None: it is unknown there.
  /// Errors: denied, unavailable (there, or no space here), corrupt (what came is another blob).
  Result<std::optional<BlobSource>> open(const std::string& repository, const ContentDigest& digest);
  /// What runs is broken off; who waits is told that it is unavailable.
  void stop();
  /// Of one that is on its way.
  std::optional<uint64_t> size_of(const std::string& repository, const ContentDigest& digest) const;

 private:
  struct Fetch {
    std::string repository;
    ContentDigest digest;
    std::unique_ptr<Upload> upload;               // Its thread's alone.
    std::shared_ptr<http_server::GrowingFile> file;  // Once the size is known.
    std::optional<Error> error;
    bool is_unknown = false;
    bool is_over = false;
  };
  using FetchPtr = std::shared_ptr<Fetch>;

  void work();
  Result<void> bring(Fetch& fetch);
  Result<void> bring_bytes(Fetch& fetch);
  Result<void> ask_for_rest(Fetch& fetch);
  Result<void> begin_file(Fetch& fetch, uint64_t size_bytes);
  Result<void> keep(Fetch& fetch);
  Result<void> resume_or_begin(Fetch& fetch);
  bool pause(std::chrono::milliseconds time);

  Options options_;
  Ask ask_;
  Catalog& catalog_;
  Uploads& uploads_;
  std::atomic<bool> is_stopping_{false};
  mutable std::mutex mutex_;  // Guards what follows, and all of a Fetch but its upload.
  std::condition_variable wake_;
  std::map<std::string, FetchPtr> running_;
  std::map<std::string, std::string> parts_;  // Ids of uploads that go on where they broke off.
  std::deque<FetchPtr> queue_;
  size_t idle_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace kist::registry_server

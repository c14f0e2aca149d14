// An Upstream that speaks the distribution protocol to another registry.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "registry_server/blob_fetches.h"
#include "registry_server/config.h"
#include "registry_server/upstream.h"
#include "registry_server/web.h"

namespace kist::registry_server {

/// What several clients ask for at once is fetched once. A manifest is checked against its digest before
/// anybody gets a byte of it, a blob before anybody gets its last byte.
class UpstreamRegistry final : public Upstream {
 public:
  /// References outlive this.
  UpstreamRegistry(UpstreamConfig config, const http::Config& network, Catalog& catalog, Uploads& uploads, uint64_t blob_bytes);
  ~UpstreamRegistry() override { UpstreamRegistry::stop(); }

  Result<std::optional<ContentDigest>> refresh_tag(const std::string& repository, const std::string& tag) override;
  Result<bool> fetch_manifest(const std::string& repository, const ContentDigest& digest) override;
  Result<std::optional<BlobSource>> open_blob(const std::string& repository, const ContentDigest& digest) override;
  Result<std::optional<uint64_t>> blob_size(const std::string& repository, const ContentDigest& digest) override;
  void stop() override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Token {
    http::Secret text;
    Clock::time_point until;
  };
  Result<WebAnswer> ask(const std::string& repository, WebRequest request);
  Result<http::Secret> new_token(const std::string& repository, const std::string& challenge);
  http::Secret known_token(const std::string& repository);
  Result<bool> fetch_manifest_alone(const std::string& repository, const ContentDigest& digest);
  /// Runs `work` unless another thread is at the same thing: then waits for that.
  Result<bool> once(const std::string& what, const std::function<Result<bool>()>& work);

  UpstreamConfig config_;
  Catalog& catalog_;
  Uploads& uploads_;
  Web web_;
  std::atomic<bool> is_stopping_{false};
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable wake_;
  std::map<std::string, Token> tokens_;
  std::map<std::string, Clock::time_point> believed_;  // Tags, until when.
  std::set<std::string> busy_;
  BlobFetches blobs_;  // Last: its threads use the rest.
};

/// Of `Bearer realm="…",service="…"`: values by name. Pure.
std::map<std::string, std::string> challenge_fields(std::string_view header);

}  // namespace kist::registry_server

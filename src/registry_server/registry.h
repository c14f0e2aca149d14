// The distribution-spec's protocol, version 1.1, over a Storage: which request does what.
//
// Threads: a Handler's. What has to wait for a disk is Later or a receiver's finish().
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "http_server/message.h"
#include "http_server/request_text.h"
#include "registry_server/access.h"
#include "registry_server/answers.h"
#include "registry_server/catalog.h"
#include "registry_server/document_cache.h"
#include "registry_server/local_source.h"
#include "registry_server/metrics.h"
#include "registry_server/quota.h"
#include "registry_server/rate_limit.h"
#include "registry_server/routes.h"
#include "registry_server/uploads.h"
#include "registry_server/upstream.h"

namespace kist::registry_server {

struct RegistryOptions {
  bool is_read_only = false;
  bool shows_metrics = true;
  bool takes_sparse = false;            // Manifests whose blobs are not here; indexes always may be sparse.
  uint64_t manifest_bytes = 4u << 20;   // Largest.
  uint64_t blob_bytes = 1ull << 40;     // Largest.
  std::string public_url;               // "https://registry.example"; empty: as the client called us.
};

/// References outlive the registry.
struct RegistryParts {
  Catalog& catalog;
  Uploads& uploads;
  Access& access;
  Metrics& metrics;
  Quotas& quotas;
  RateLimit& rate;
  Upstream* upstream = nullptr;                // Of a pull-through cache.
  LocalSource* local = nullptr;                // What is served besides the storage.
  std::function<void(std::string_view)> log;   // One line for each request, without its newline.
  std::function<std::string()> more_metrics;
};

/// One request on its way through the registry. Shared by what it leaves to other threads.
struct Call {
  const http_server::Request* request = nullptr;  // Outlives the call.
  http_server::Target target;
  Route route;
  Identity who;
  std::string why;  // What is wrong with who asks.

  const std::string& repository() const { return route.repository; }
};
using CallPtr = std::shared_ptr<const Call>;

class Registry final : public http_server::Handler {
 public:
  Registry(RegistryParts parts, RegistryOptions options);

  Answer handle(const http_server::Request& request) override;
  void done(const http_server::Request& request, const http_server::Outcome& outcome) override;

 private:
  class UploadReceiver;
  class ManifestReceiver;

  Answer identified(const std::shared_ptr<Call>& call);
  Answer permitted(const CallPtr& call);
  Response challenge(const Call& call, std::optional<Right> right, bool is_wrong) const;
  Response token(const Call& call) const;
  Response metrics_page() const;
  /// At once if the storage is quick, else on a thread that may wait.
  Answer when_quick(const CallPtr& call, Response (Registry::*work)(const Call&));
  Answer waiting(const CallPtr& call, Response (Registry::*work)(const Call&));

  // manifest_routes.cpp
  Answer manifest(const CallPtr& call);
  Answer get_manifest(const CallPtr& call);
  std::optional<Response> find_manifest(const Call& call);
  std::optional<Response> find_local_manifest(const Call& call);
  Response manifest_response(const Call& call, const ContentDigest& digest, std::string_view media_type,
                             std::shared_ptr<const std::string> bytes) const;
  Response get_manifest_here(const Call& call);
  Response get_manifest_upstream(const Call& call);
  Response delete_manifest(const Call& call);
  Response put_manifest(const Call& call, const std::string& bytes);
  Result<StagedFile> stage(const Call& call, const std::string& bytes, const ContentDigest& digest);
  Result<std::optional<Response>> missing_blob(const Call& call, const ManifestFacts& facts);
  // blob_routes.cpp
  Answer blob(const CallPtr& call);
  std::optional<Response> find_blob(const Call& call);
  std::optional<Response> find_local_blob(const Call& call);
  Response get_blob_here(const Call& call);
  Response get_blob_upstream(const Call& call);
  Response delete_blob(const Call& call);
  Response blob_response(const Call& call, const ContentDigest& digest, BlobSource source) const;
  void keep_young(const Call& call, const ContentDigest& digest, const BlobSource& source);
  // upload_routes.cpp
  Answer begin_upload(const CallPtr& call);
  Answer upload(const CallPtr& call);
  Answer go_on(const CallPtr& call);
  Response mount(const Call& call, const ContentDigest& digest);
  Response new_upload(const Call& call);
  Result<bool> can_mount(const Call& call, const ContentDigest& digest);
  Answer receive(const CallPtr& call, std::unique_ptr<Upload> upload, std::optional<ContentDigest> digest);
  Response commit(const Call& call, std::unique_ptr<Upload> upload, const ContentDigest& digest);
  Response status_of(const Call& call, const Upload& upload, int status) const;
  // list_routes.cpp
  Response tags(const Call& call);
  Response repositories(const Call& call);
  Response referrers(const Call& call);

  RegistryParts parts_;
  RegistryOptions options_;
  DocumentCache documents_;
  std::atomic<uint64_t> manifest_bytes_in_flight_{0};
  std::mutex large_manifests_;  // Held while one is parsed: its tree takes ten times its bytes.
};

}  // namespace kist::registry_server

// A registry in a bucket of S3-compatible object storage. Requests are made and signed by libcurl
// (CURLOPT_AWS_SIGV4). Keys are those of a folder (docs/formats/registry.md).
#pragma once

#include <memory>
#include <string>

#include "registry_server/config.h"
#include "registry_server/storage.h"
#include "registry_server/web.h"

namespace kist::registry_server {

/// One server process for a bucket: the locks against the collection are this process's. Durable as
/// far as the storage is: every put() has been acknowledged by it.
class S3Storage final : public Storage {
 public:
  /// Errors: invalid (a key of the configuration is missing), unavailable, denied, not_found (bucket).
  static Result<std::unique_ptr<S3Storage>> open(S3Config config, const http::Config& network);

  Result<std::optional<std::string>> get(const std::string& key) override;
  Result<bool> has(const std::string& key) override;
  Result<std::optional<int64_t>> modified(const std::string& key) override;
  Result<void> put(const std::string& key, std::string_view text, bool is_durable) override;
  Result<void> touch(const std::string& key) override;
  Result<bool> remove(const std::string& key) override;
  Result<Listing> list(const std::string& prefix) override;

  Result<std::optional<BlobSource>> open_blob(const ContentDigest& digest) override;
  Result<bool> touch_blob(const ContentDigest& digest) override;
  Result<void> put_blob(const ContentDigest& digest, StagedFile file) override;
  Result<bool> remove_blob(const ContentDigest& digest) override;
  Result<std::vector<StoredBlob>> blobs() override;
  Result<size_t> end_abandoned(int64_t before_s) override;
  Result<os::Fd> lock(bool) override { return os::Fd(); }
  bool is_quick() const override { return false; }

 private:
  S3Storage(S3Config config, const http::Config& network) : config_(std::move(config)), web_(network) {}
  WebRequest request(std::string method, const std::string& key, std::string_view query = "") const;
  Result<WebAnswer> ask(WebRequest request, std::initializer_list<int> good);
  Result<std::optional<WebAnswer>> head(const std::string& key);
  Result<void> put_in_parts(const std::string& key, const StagedFile& file);
  Result<void> put_parts(const std::string& key, const std::string& id, const StagedFile& file);
  Result<void> end_upload(const std::string& key, const std::string& id);
  /// All answers of a listing, one after the other.
  Result<void> each_page(const std::string& query, const std::function<Result<void>(const std::string& xml)>& take);

  S3Config config_;
  Web web_;
};

/// The texts of all elements of that name, entities resolved; for the flat documents of S3. Pure.
std::vector<std::string> xml_texts(std::string_view xml, std::string_view element);

}  // namespace kist::registry_server

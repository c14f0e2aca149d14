// The images of the local store as a LocalSource: what `kist build`, `kist load` and others have put
// there is served from where it lies, without a copy.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "images/image_store.h"
#include "registry_server/local_source.h"
#include "store/store.h"

namespace kist::registry_server {

/// An image named "team/tool:1" is tag 1 of repository team/tool; names that are no names of a registry
/// (with a host and a port in them, say) are not served.
class StoreImages final : public LocalSource {
 public:
  /// `home`: of the store. Errors: those of opening it.
  static Result<std::unique_ptr<StoreImages>> open(const std::string& home);

  Result<std::optional<ContentDigest>> tag(const std::string& repository, const std::string& tag) override;
  Result<std::optional<LocalManifest>> manifest(const std::string& repository, const ContentDigest& digest) override;
  Result<std::optional<BlobSource>> blob(const std::string& repository, const ContentDigest& digest) override;
  Result<std::vector<std::string>> tags(const std::string& repository) override;
  Result<std::vector<std::string>> repositories() override;

 private:
  struct Repository {
    std::map<std::string, oci::Digest> tags;
    std::map<oci::Digest, std::shared_ptr<const images::Image>> images;
  };
  using Repositories = std::map<std::string, Repository>;

  explicit StoreImages(store::Store store) : store_(std::move(store)), images_(store_) {}
  /// All repositories as they are now; read again when a name has changed.
  Result<std::shared_ptr<const Repositories>> current();
  Result<BlobSource> layer_source(std::shared_ptr<const images::Image> image, const images::Layer& layer) const;

  store::Store store_;
  images::ImageStore images_;
  std::mutex mutex_;  // Guards what follows.
  std::optional<os::Stamp> names_stamp_;
  std::shared_ptr<const Repositories> repositories_;
};

}  // namespace kist::registry_server

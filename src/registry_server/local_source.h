// Images that are on this machine without having been pushed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry_server/content_digest.h"
#include "registry_server/storage.h"

namespace kist::registry_server {

struct LocalManifest {
  std::string media_type;
  std::string bytes;
};

/// Asked for what the storage does not have. Threads: any; may wait for a disk.
class LocalSource {
 public:
  virtual ~LocalSource() = default;
  virtual Result<std::optional<ContentDigest>> tag(const std::string& repository, const std::string& tag) = 0;
  virtual Result<std::optional<LocalManifest>> manifest(const std::string& repository, const ContentDigest& digest) = 0;
  virtual Result<std::optional<BlobSource>> blob(const std::string& repository, const ContentDigest& digest) = 0;
  /// Sorted.
  virtual Result<std::vector<std::string>> tags(const std::string& repository) = 0;
  virtual Result<std::vector<std::string>> repositories() = 0;
};

}  // namespace kist::registry_server

// Another registry that this one is a cache of.
#pragma once

#include <optional>
#include <string>

#include "registry_server/catalog.h"
#include "registry_server/uploads.h"

namespace kist::registry_server {

/// Brings what is missing here. Threads: any; all methods may wait for a network.
class Upstream {
 public:
  virtual ~Upstream() = default;
  /// What the tag stands for there; fetched, with its links, unless it is here. None: it is unknown
  /// there, or nobody answers (what is here is then served).
  virtual Result<std::optional<ContentDigest>> refresh_tag(const std::string& repository, const std::string& tag) = 0;
  /// False: it is unknown there.
  virtual Result<bool> fetch_manifest(const std::string& repository, const ContentDigest& digest) = 0;
  /// The blob while it comes here, or from here if it has come meanwhile. Returns as soon as it is known how
  /// large it is. None: it is unknown there.
  virtual Result<std::optional<BlobSource>> open_blob(const std::string& repository, const ContentDigest& digest) = 0;
  /// Without fetching it. None: it is unknown there.
  virtual Result<std::optional<uint64_t>> blob_size(const std::string& repository, const ContentDigest& digest) = 0;
  /// Whoever waits in one of these is let go within a second or so, with unavailable; so is who comes after.
  virtual void stop() = 0;
};

}  // namespace kist::registry_server

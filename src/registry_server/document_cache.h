// Manifests that were asked for lately. By digest, so that nothing in here is ever out of date.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "registry_server/content_digest.h"

namespace kist::registry_server {

/// Threads: any. Bounded by bytes; what was not used for longest goes first.
class DocumentCache {
 public:
  explicit DocumentCache(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  /// Null when it is not here.
  std::shared_ptr<const std::string> find(const ContentDigest& digest);
  std::shared_ptr<const std::string> add(const ContentDigest& digest, std::string bytes);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const std::string> bytes;
  };
  uint64_t limit_bytes_;
  std::mutex mutex_;  // Guards what follows.
  uint64_t held_bytes_ = 0;
  std::list<Entry> entries_;  // Used last first.
  std::unordered_map<std::string, std::list<Entry>::iterator> places_;
};

}  // namespace kist::registry_server

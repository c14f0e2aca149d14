#include "registry_server/document_cache.h"

namespace kist::registry_server {

std::shared_ptr<const std::string> DocumentCache::find(const ContentDigest& digest) {
  const std::scoped_lock lock(mutex_);
  const auto at = places_.find(digest.hex());
  if (at == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, at->second);
  return at->second->bytes;
}

std::shared_ptr<const std::string> DocumentCache::add(const ContentDigest& digest, std::string bytes) {
  auto shared = std::make_shared<const std::string>(std::move(bytes));
  if (shared->size() > limit_bytes_ / 8) return shared;
  const std::scoped_lock lock(mutex_);
  if (places_.find(digest.hex()) != places_.end()) return shared;
  entries_.push_front({digest.hex(), shared});
  places_[digest.hex()] = entries_.begin();
  held_bytes_ += shared->size();
  while (held_bytes_ > limit_bytes_) {
    held_bytes_ -= entries_.back().bytes->size();
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
  return shared;
}

}  // namespace kist::registry_server

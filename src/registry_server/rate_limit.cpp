#include "registry_server/rate_limit.h"

#include <algorithm>

namespace kist::registry_server {

bool RateLimit::allows(std::string_view client, Clock::time_point now) {
  if (per_second_ <= 0) return true;
  const std::scoped_lock lock(mutex_);
  const auto at = places_.find(std::string(client));
  if (at != places_.end()) {
    buckets_.splice(buckets_.begin(), buckets_, at->second);
  } else {
    buckets_.push_front({std::string(client), burst_, now});
    places_[buckets_.front().client] = buckets_.begin();
    if (buckets_.size() > limit_) {
      places_.erase(buckets_.back().client);
      buckets_.pop_back();
    }
  }
  Bucket& bucket = buckets_.front();
  const double passed = std::chrono::duration<double>(now - bucket.filled).count();
  bucket.tokens = std::min(burst_, bucket.tokens + passed * per_second_);
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

}  // namespace kist::registry_server

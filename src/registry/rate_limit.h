// How fast blobs may come or go, all of them together.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

#include "registry/download.h"

namespace kist::registry {

/// Threads: any.
class RateLimit {
 public:
  /// `bytes_per_second` > 0.
  explicit RateLimit(uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}
  /// Waits until these bytes, and all that were taken before, are within the rate.
  void take(uint64_t bytes);

 private:
  const uint64_t bytes_per_second_;
  std::mutex mutex_;  // Guards what follows.
  std::chrono::steady_clock::time_point free_at_{};
};

/// The pieces of `source`, each after its time; those of a source without a limit as they come.
Source limited(Source source, std::shared_ptr<RateLimit> limit);

}  // namespace kist::registry

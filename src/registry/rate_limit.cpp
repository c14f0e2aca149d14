#include "registry/rate_limit.h"

#include <algorithm>
#include <thread>

namespace kist::registry {

void RateLimit::take(uint64_t bytes) {
  const auto needed = std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(bytes_per_second_));
  std::chrono::steady_clock::time_point until;
  {
    const std::lock_guard lock(mutex_);
    // Time that nobody used is gone: no burst after a pause.
    free_at_ = std::max(free_at_, std::chrono::steady_clock::now()) +
               std::chrono::duration_cast<std::chrono::steady_clock::duration>(needed);
    until = free_at_;
  }
  std::this_thread::sleep_until(until);
}

Source limited(Source source, std::shared_ptr<RateLimit> limit) {
  if (limit == nullptr) return source;
  return [source = std::move(source), limit = std::move(limit)]() -> Result<std::string_view> {
    const std::string_view piece = TRY(source());
    if (!piece.empty()) limit->take(piece.size());
    return piece;
  };
}

}  // namespace kist::registry

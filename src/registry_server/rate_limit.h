// How often one client may ask.
#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace kist::registry_server {

/// A bucket of tokens for each client; the clients that were not seen for longest are forgotten.
/// Threads: any.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;
  /// `per_second` 0: no limit. `burst`: what a client may do at once.
  RateLimit(double per_second, double burst, size_t clients = 10'000)
      : per_second_(per_second), burst_(burst), limit_(clients) {}

  bool allows(std::string_view client, Clock::time_point now);

 private:
  struct Bucket {
    std::string client;
    double tokens;
    Clock::time_point filled;
  };
  double per_second_;
  double burst_;
  size_t limit_;
  std::mutex mutex_;  // Guards what follows.
  std::list<Bucket> buckets_;  // Seen last first.
  std::unordered_map<std::string, std::list<Bucket>::iterator> places_;
};

}  // namespace kist::registry_server

// Counters of a registry, in Prometheus' text format.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "http_server/message.h"
#include "registry_server/routes.h"

namespace kist::registry_server {

/// Threads: any; a counter that is being read may miss what happens just then.
class Metrics {
 public:
  void count(Route::Kind kind, std::string_view method, const http_server::Outcome& outcome);
  /// "# TYPE …" and values.
  std::string text() const;

 private:
  static constexpr size_t kKinds = 12;
  static constexpr size_t kMethods = 6;
  static constexpr std::array kBuckets{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0};
  using Counter = std::atomic<uint64_t>;

  std::array<std::array<std::array<Counter, 6>, kMethods>, kKinds> requests_{};  // By the status's first digit.
  std::array<Counter, kBuckets.size() + 1> durations_{};
  Counter microseconds_{0};
  Counter received_bytes_{0};
  Counter sent_bytes_{0};
  Counter broken_{0};
};

}  // namespace kist::registry_server

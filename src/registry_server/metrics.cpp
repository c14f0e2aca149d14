#include "registry_server/metrics.h"

#include <fmt/format.h>

namespace kist::registry_server {
namespace {

constexpr std::array<std::string_view, 6> kMethodNames{"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"};

size_t index_of(std::string_view method) {
  for (size_t i = 0; i < kMethodNames.size(); ++i)
    if (method == kMethodNames[i]) return i;
  return 0;  // What is no method of ours is refused, and counted as the commonest.
}

}  // namespace

void Metrics::count(Route::Kind kind, std::string_view method, const http_server::Outcome& outcome) {
  const auto digit = static_cast<size_t>(outcome.status / 100);
  requests_[static_cast<size_t>(kind)][index_of(method)][digit < 6 ? digit : 0].fetch_add(1, std::memory_order_relaxed);
  size_t bucket = 0;
  while (bucket < kBuckets.size() && outcome.seconds > kBuckets[bucket]) ++bucket;
  durations_[bucket].fetch_add(1, std::memory_order_relaxed);
  microseconds_.fetch_add(static_cast<uint64_t>(outcome.seconds * 1e6), std::memory_order_relaxed);
  received_bytes_.fetch_add(outcome.received_bytes, std::memory_order_relaxed);
  sent_bytes_.fetch_add(outcome.sent_bytes, std::memory_order_relaxed);
  if (!outcome.is_whole) broken_.fetch_add(1, std::memory_order_relaxed);
}

std::string Metrics::text() const {
  std::string out = "# HELP kist_registry_requests_total Requests by what they asked for.\n# TYPE kist_registry_requests_total counter\n";
  for (size_t kind = 0; kind < kKinds; ++kind)
    for (size_t method = 0; method < kMethods; ++method)
      for (size_t digit = 1; digit < 6; ++digit)
        if (const uint64_t count = requests_[kind][method][digit].load())
          out += fmt::format("kist_registry_requests_total{{route=\"{}\",kind=\"{}\",method=\"{}\",status=\"{}xx\"}} {}\n",
                             name_of(static_cast<Route::Kind>(kind)), kind, kMethodNames[method], digit, count);
  out += "# HELP kist_registry_request_seconds Time from a request's head to the end of its answer.\n"
         "# TYPE kist_registry_request_seconds histogram\n";
  uint64_t total = 0;
  for (size_t i = 0; i < kBuckets.size(); ++i) {
    total += durations_[i].load();
    out += fmt::format("kist_registry_request_seconds_bucket{{le=\"{}\"}} {}\n", kBuckets[i], total);
  }
  total += durations_[kBuckets.size()].load();
  out += fmt::format("kist_registry_request_seconds_bucket{{le=\"+Inf\"}} {0}\nkist_registry_request_seconds_sum {1}\n"
                     "kist_registry_request_seconds_count {0}\n", total, static_cast<double>(microseconds_.load()) / 1e6);
  const auto counter = [&](std::string_view name, std::string_view help, const Counter& value) {
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} counter\n{0} {2}\n", name, help, value.load());
  };
  counter("kist_registry_received_bytes_total", "Of bodies.", received_bytes_);
  counter("kist_registry_sent_bytes_total", "Of bodies.", sent_bytes_);
  counter("kist_registry_broken_total", "Answers that did not reach their client whole.", broken_);
  return out;
}

}  // namespace kist::registry_server

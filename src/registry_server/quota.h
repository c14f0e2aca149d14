// How much repositories may hold.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "registry_server/catalog.h"

namespace kist::registry_server {

/// All repositories that fit the pattern together. What several repositories share counts for each.
struct Quota {
  std::string repositories;  // A pattern: names.h.
  uint64_t bytes = 0;
};

/// Threads: any.
class Quotas {
 public:
  explicit Quotas(std::vector<Quota> quotas) : quotas_(std::move(quotas)), used_(quotas_.size(), 0) {}

  /// Adds up what is there; later changes are told by add(). Takes a walk over all links.
  Result<void> measure(const Catalog& catalog);
  /// Whether `bytes` more fit into all quotas of the repository; if so they count from now on.
  /// Errors: unavailable (names the quota).
  Result<void> take(const std::string& repository, uint64_t bytes);
  void give_back(const std::string& repository, uint64_t bytes);
  bool is_empty() const { return quotas_.empty(); }

 private:
  std::vector<Quota> quotas_;
  std::mutex mutex_;  // Guards what follows.
  std::vector<uint64_t> used_;
};

}  // namespace kist::registry_server

// Takes away what nobody needs any more, while the registry serves: blobs that no repository has,
// links that no manifest explains, and tags that retention rules let go.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "registry_server/catalog.h"

namespace kist::registry_server {

/// For repositories that fit the pattern: a tag is kept if one of the two keeps it.
struct Retention {
  std::string repositories;                 // A pattern: names.h.
  std::vector<std::string> tags{"*"};       // Patterns of tags that the rule is about.
  std::optional<size_t> keep_last;          // The tags that were set last.
  std::optional<std::chrono::seconds> keep_for;
};

struct GcOptions {
  std::chrono::seconds grace{24 * 3600};  // What is younger may be part of a push that goes on.
  bool takes_untagged = false;            // Also manifests without a tag, after the grace time.
  bool is_dry_run = false;
};

struct GcReport {
  size_t tags = 0;
  size_t manifests = 0;
  size_t links = 0;
  size_t blobs = 0;
  uint64_t freed_bytes = 0;
};

/// `now_s`: Unix time. Holds Catalog::take_away() for one repository or one blob at a time.
Result<GcReport> collect_garbage(const Catalog& catalog, const std::vector<Retention>& rules, const GcOptions& options,
                                 int64_t now_s);

}  // namespace kist::registry_server

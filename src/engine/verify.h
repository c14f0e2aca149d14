// Proof that a lock alone makes an environment: it is made once more from nothing and compared.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/project.h"

namespace kist::engine {

struct LayerComparison {
  std::string name;  // "base", "python/numpy", "python/tail-07"
  std::string here;  // Digest of its tar, "sha256:…"; empty: it is not there, or
  std::string anew;
  std::string damage;  // cannot be read any more: why.
};

struct Verification {
  std::string tree_here, tree_anew;
  std::vector<LayerComparison> layers;
  struct Difference {
    std::string path;
    std::string what;  // "only here", "only anew", "content", "mode 755, anew 644"
  };
  std::vector<Difference> differences;  // The first ones, in path order.
  size_t difference_count = 0;
  size_t packages = 0;
  uint64_t fetched_bytes = 0;
  bool is_identical() const;
};

inline constexpr size_t kShownDifferences = 20;

/// Assembles the locked environment in a clean store below this one, fetching everything again, and
/// compares it with the environment of this store (assembled first if need be). Reads every byte of
/// both. The clean store is removed again. `platform`: whose lock, "linux/arm64"; empty: this
/// machine's. Nothing of another platform's is executed.
/// Errors: not_found (no lock), invalid (a stale one), those of assembling, unavailable (disk full).
Result<Verification> verify(const environment::Context& context, const launch::RunRequest& request,
                            const std::string& platform);

/// What two machines compare to know that they have the same.
struct Digests {
  std::string tree;                           // "sha256:…", with all byte-code.
  std::map<std::string, std::string> layers;  // Digest of its tar by name.
  size_t packages = 0;
};

/// Those of the environment in this store, which is assembled first if need be. Reads every byte.
/// Errors: those of verify().
Result<Digests> digests(const environment::Context& context, const launch::RunRequest& request,
                        const std::string& platform);

}  // namespace kist::engine

// From package names to a locked set of .debs: a real dependency solver (libsolv) over the checked
// package indexes.
#pragma once

#include <string>
#include <vector>

#include "debian/release.h"
#include "oci/digest.h"

namespace kist::debian {

/// One .deb, pinned by hash. What a lock file keeps of a Debian package.
struct LockedDeb {
  std::string name;
  std::string version;
  std::string architecture;  // "amd64" or "all".
  oci::Digest sha256;
  uint64_t size_bytes = 0;
  std::string path;   // Below the archive's address: "pool/main/…".
  std::string suite;  // Whose archive has it: "trixie-security".

  bool operator==(const LockedDeb&) const = default;
};

struct SolveRequest {
  /// "name", or "name=version" to pin; virtual names are fine when only one package provides them.
  std::vector<std::string> packages;
  /// Of `packages`, those whose Recommends come too, and those of what they bring, as
  /// `apt-get install` does by default.
  std::vector<std::string> with_recommends;
  /// What an earlier lock had: kept at its version wherever the request still allows it.
  std::vector<LockedDeb> keep;
  std::string architecture = "amd64";
};

/// Holds the packages of all indexes in memory (some 60 MB for a suite). Threads: one at a time.
class Solver {
 public:
  /// Reads the indexes. The first time costs a second or two per suite; the parsed form is kept in
  /// `cache_dir`, named by the index's hash. Errors: corrupt, those of the disk.
  static Result<Solver> open(const std::vector<PackagesIndex>& indexes,
                             const std::string& architecture, const std::string& cache_dir);
  Solver(Solver&&) noexcept;
  Solver& operator=(Solver&&) noexcept;
  ~Solver();

  /// The packages and everything that they need, in an order in which they could be configured:
  /// what is depended on comes first. Only what the request needs: packages marked Essential are
  /// not added by themselves. The same indexes and request give the same answer everywhere.
  ///
  /// Errors: not_found (no such package; the hint has the nearest name), invalid (the request
  /// cannot be satisfied: every problem in words).
  Result<std::vector<LockedDeb>> solve(const SolveRequest& request);
  /// Whether there is a package of this name; virtual ones do not count.
  bool knows(const std::string& name) const;

 private:
  struct State;
  explicit Solver(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kist::debian

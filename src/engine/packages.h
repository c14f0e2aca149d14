// The packages of an assembled environment, and who needs whom: for size, tree and why. Read from
// the environment's tree itself (METADATA, RECORD, control files), so it tells what is there.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/project.h"
#include "store/tree.h"

namespace kist::engine {

struct Need {
  size_t package;           // Index into Packages::packages.
  std::string constraint;   // ">=2,<3", "(>= 2.34)"; empty: any.
};

struct Package {
  enum class Kind { python, debian, interpreter, image };
  Kind kind = Kind::python;
  std::string name;     // Python: normalized.
  std::string version;
  std::string asked_by;  // "requirements.txt:3", "kist.toml", "the base"; empty: not asked for.
  std::vector<Need> needs;  // In the order of names, each package once.
  std::vector<store::Entry> files;
};

struct Packages {
  /// Python's first, then Debian's, each sorted by name, then an interpreter of the project's own,
  /// and the image that is the base.
  std::vector<Package> packages;
  store::Tree tree;               // Of the environment: also what no package has.
  std::optional<size_t> find(Package::Kind kind, std::string_view name) const;
};

/// Errors: not_found (the environment is not assembled here), corrupt, invalid (METADATA).
Result<Packages> read_packages(const environment::Context& context, const Project& project,
                               const python::Inputs& inputs, const python::Lock& lock);

/// All ways in which something that is asked for needs `package`, each from the one asked for to it;
/// shortest first, at most `limit`.
std::vector<std::vector<size_t>> chains_to(const Packages& packages, size_t package, size_t limit);

struct PackageSize {
  size_t package;
  uint64_t bytes = 0;         // Sum of its files.
  uint64_t unique_bytes = 0;  // Of contents that no other package here has.
};
/// Largest first.
std::vector<PackageSize> sizes_of(const Packages& packages);

}  // namespace kist::engine

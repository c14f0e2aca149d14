// Two packages that bring the same path: who wins, by what they say about each other.
#pragma once

#include <string>
#include <vector>

#include "debian/deb.h"

namespace kist::debian {

/// One package of a set. `files` changes when another package takes over some of its paths.
struct PackageTree {
  std::string package;
  store::Tree files;
  const DebMeta* meta;
};

/// "path is at `moved_to`, because `package` wants the path for itself" (dpkg-divert(1)).
struct Diversion {
  std::string path, moved_to, package;  // Paths absolute.
};

/// Takes away what loses, so that store::merge() of the trees finds no conflict:
/// - a path that a package diverts is moved aside in all others;
/// - a package that Replaces another one wins over it;
/// - a folder wins over a link to a folder.
/// Returns the diversions that packages ask for. Errors: exists (a conflict that none of these
/// rules decides; names the path and both packages).
Result<std::vector<Diversion>> resolve_overlaps(std::vector<PackageTree>& packages);

/// Diversions in a preinst script, found by walking it as for a first installation.
std::vector<Diversion> find_diversions(const std::string& package, std::string_view preinst);

}  // namespace kist::debian

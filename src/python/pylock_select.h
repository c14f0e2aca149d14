// Which packages of a lock belong on a target, and which file of each is installed (PEP 751,
// "Installation"). Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "python/pylock.h"
#include "python/tags.h"

namespace kist::python {

/// What the user asked for beyond the plain environment.
struct Selection {
  std::set<std::string> extras;
  std::set<std::string> groups;  // In addition to the default groups.
  bool default_groups = true;
};

struct SelectedPackage {
  enum class Kind { wheel, sdist, archive, vcs, directory };
  std::string name, version;
  Kind kind = Kind::wheel;
  LockedFile file;            // wheel, sdist, archive.
  LockedVcs vcs;              // vcs.
  LockedDirectory directory;  // directory.
  /// The installer writes direct_url.json for what did not come from an index.
  bool is_direct() const { return kind != Kind::wheel && kind != Kind::sdist; }
  /// An archive that is a wheel is installed as it is; the other kinds but wheel are built first.
  bool needs_build() const;
};

/// Sorted by name. Every file has a sha256.
///
/// Errors: unsupported (the lock is not for this target; no wheel for the platform and Python: says
/// what there is), invalid (two entries of one name apply; a file without sha256; unknown extra or
/// group).
Result<std::vector<SelectedPackage>> select(const Lock& lock, const Target& target,
                                            const Selection& selection = {});

/// Leaves in the lock only what `target` installs: one entry per package, one file per entry, no
/// markers, no index (it repeats what the address says). What it is for gets into environments and
/// requires-python.
Result<Lock> narrow(const Lock& lock, const Target& target, const Selection& selection = {});

}  // namespace kist::python

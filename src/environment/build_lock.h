// What packages without a wheel are built with, pinned: a lock that says only their sources would give
// another wheel whenever a new setuptools or gcc appears (docs/adr/0007-builds-are-locked.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "environment/context.h"
#include "python/pylock.h"
#include "store/store.h"

namespace kist::environment {

struct BuildLockRequest {
  std::string lock_folder;
  const python::Lock* previous = nullptr;  // Its versions are kept.
  bool upgrade = false;                    // Keep nothing,
  std::vector<std::string> upgrade_packages;  // or not what these are built with.
};

/// Fills in builds, build_requirements and build_debian of a lock that is otherwise complete, in a
/// container: the backend is asked what it needs. Nothing is done for another platform than this
/// machine's, on which nothing can be built either. A package that cannot be asked is warned about
/// and left out: building it will say more. Errors: those of the network.
Result<void> lock_builds(const Context& context, const BuildLockRequest& request, python::Lock& lock,
                         store::Transaction& tx);

/// What a package is built with; empty: the lock does not say. Pure, as the two below.
std::optional<std::vector<python::LockedBuildRequirement>> locked_build(const python::Lock& lock,
                                                                        const std::string& package);
/// All Debian packages of the root of a build.
std::vector<python::LockedDebianPackage> locked_build_debian(const python::Lock& lock);
/// For the name of what is built: covers all that the two above give.
std::string locked_build_key(const python::Lock& lock, const std::string& package);

}  // namespace kist::environment

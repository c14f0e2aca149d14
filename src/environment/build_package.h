// Packages that have no wheel: a source distribution, an archive, a repository's commit, a folder.
// They are built to a wheel in a container (PEP 517, 660), which the store keeps as "built/<key>";
// from there on they are wheels as any other.
#pragma once

#include <string>
#include <vector>

#include "environment/build_container.h"
#include "environment/context.h"
#include "environment/pieces.h"
#include "environment/suite.h"
#include "python/install.h"
#include "python/pylock_select.h"

namespace kist::environment {

struct BuildJob {
  python::SelectedPackage package;
  std::string label;   // "cython-thing 1.0"
  std::string name;    // "built/<key>", in the store. Known before anything is built.
  std::string folder;  // Of a directory: absolute, without links,
  std::string sources;  // and a digest of what of it decides about the build.
};

/// What the builds of one environment share.
struct BuildSite {
  const python::Lock& lock;
  const python::Target& target;
  const Suite& suite;
  std::string lock_folder;
};

/// Pure but for folders, of which it reads what decides whether they are built again: an editable
/// one's pyproject.toml, setup.py and setup.cfg, all files of any other.
/// Errors: not_found (the folder), unsupported (the lock is for another platform than this machine).
Result<BuildJob> build_job(const BuildSite& site, const python::SelectedPackage& package);

/// The wheel of the job as a piece: from the store, else built, which fetches what it needs. Network
/// is only there for git and for build requirements, of which wheels are preferred; the package's
/// own code runs without. When a compiler turns out to be missing it is tried once more with
/// Debian's in the root. Blocks.
/// Errors: invalid (the build failed; with the end of its output, the package and a hint), those of
/// fetching, unavailable (offline).
Result<Piece> built_piece(const Context& context, const BuildSite& site, const BuildJob& job,
                          store::Transaction& tx);

/// A build that can begin: sources unpacked, root there.
struct PreparedBuild {
  BuildPlace place;
  python::BuildRequest request;
  std::optional<store::Lease> lease;  // Of the root.
};
/// `system`: Debian packages in the root beside the environment's own. `scratch`: a folder of ours.
/// Errors: as built_piece().
Result<PreparedBuild> prepare_build(const Context& context, const BuildSite& site, const BuildJob& job,
                                    std::vector<std::string> system, const std::string& scratch,
                                    store::Transaction& tx);
/// All Debian packages of the root of such a build. Errors: those of lock_debian().
Result<std::vector<python::LockedDebianPackage>> packages_for_builds(
    const Context& context, const BuildSite& site, bool with_compiler, bool with_git);

/// Files whose change makes the lock's folders be built again: absolute, present or not.
std::vector<std::string> build_inputs(const python::Lock& lock, const std::string& lock_folder);

}  // namespace kist::environment

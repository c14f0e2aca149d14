// The files that no package brings and every system has; for configure.cpp.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "debian/accounts.h"
#include "debian/configure.h"
#include "debian/overlaps.h"
#include "debian/root_view.h"
#include "debian/scripts.h"

namespace kist::debian {

struct FixupInput {
  std::span<const InstalledDeb> packages;
  std::vector<ScriptPlan> plans;  // Beside `packages`.
  std::vector<Diversion> diversions;
  const AssembleOptions& options;
};

/// One tree with all of it. Folders that packages bring keep what the packages say of them, unless
/// a script or Debian's base-files changes it. Errors: those of reading and of the sink.
Result<store::Tree> make_fixups(const FixupInput& input, const RootView& root,
                                store::ObjectSink& sink);

}  // namespace kist::debian

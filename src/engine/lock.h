// The lock of a project: whether it is current, and making it so.
#pragma once

#include <string>
#include <vector>

#include "engine/project.h"

namespace kist::engine {

struct LockOptions {
  bool upgrade = false;
  std::vector<std::string> upgrade_packages;
  std::string platform;  // Empty: this machine's.
  std::string python;    // --python
  bool only_check = false;  // --locked
};

struct LockOutcome {
  python::Lock lock;
  std::string path;
  bool changed = false;
};

/// The project's lock, resolved anew when the inputs changed since, and then written beside them.
/// Errors: invalid (stale with only_check; conflicting requirements), those of resolving.
Result<LockOutcome> ensure_lock(const environment::Context& context, Project& project,
                                const python::Inputs& inputs, const LockOptions& options,
                                store::Transaction& tx);

}  // namespace kist::engine

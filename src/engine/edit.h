// kist init, add and remove: the project's own files, changed for the person.
#pragma once

#include <string>
#include <vector>

#include "engine/lock.h"
#include "engine/project.h"

namespace kist::engine {

struct InitOptions {
  bool is_bare = false;  // Only kist.toml.
  std::string python;    // "3.11"; empty: not said.
};
/// Writes kist.toml into the folder (made if need be), and requirements.txt unless something there
/// says already what is needed.
/// Returns the names of what it wrote. Errors: exists (kist.toml, or [tool.kist]), invalid (Python).
Result<std::vector<std::string>> init_project(const std::string& folder, const InitOptions& options);

struct EditRequest {
  std::vector<std::string> names;  // Requirements, or with is_system Debian packages.
  bool is_system = false;
};

struct EditOutcome {
  std::vector<std::string> files;      // Changed, as seen from the project's folder.
  std::vector<std::string> unchanged;  // Names that stood there already.
  std::vector<std::string> staying;    // Removed, but still locked: something else needs them.
  LockOutcome lock;
};

/// Writes the names into the input that decides (docs/reference.md: kist add) and locks. If that
/// fails, every file is as it was, byte for byte, and so is the lock.
/// Errors: invalid (a name), unsupported (another tool's lock decides), those of locking.
Result<EditOutcome> add_packages(const environment::Context& context,
                                 const launch::RunRequest& request, const EditRequest& edit);
/// The reverse. Errors: not_found (nothing asks for a name; with the nearest that is asked for).
Result<EditOutcome> remove_packages(const environment::Context& context,
                                    const launch::RunRequest& request, const EditRequest& edit);

}  // namespace kist::engine

// Where a request's project is, which files belong to it here and in the store, and what it needs.
#pragma once

#include <optional>
#include <string>

#include "environment/context.h"
#include "python/inputs.h"
#include "python/pylock.h"

namespace kist::engine {

struct Project {
  std::string folder;       // Absolute.
  std::string environment;  // "default", or "script-<key>".
  std::string script;       // Absolute; empty unless the script has inline metadata.
  std::string store_folder; // $KIST_HOME/projects/<key>
  std::string ready_path;
  std::string lock_path;    // Known once the inputs are.
};

/// Which project a request is about; no file but the script is read.
/// Errors: not_found (--project), unavailable.
Result<Project> locate(const launch::RunRequest& request, const launch::Host& host);

/// What the project needs. Sets `project.lock_path`. Errors: those of python::detect().
Result<python::Inputs> read_inputs(Project& project, const launch::RunRequest& request,
                                   const launch::Host& host);

/// Makes `project.lock_path` that of another platform ("linux/arm64"); empty or this machine's own
/// changes nothing.
void choose_platform(Project& project, const std::string& platform);

/// The lock beside the project; empty when there is none.
/// Errors: those of parse_lock(), with a hint how to make a new one.
Result<std::optional<python::Lock>> read_lock(const Project& project, Progress& progress);

/// Whether the lock is what resolving these inputs for this machine gave.
bool is_current(const python::Lock& lock, const python::Inputs& inputs);

}  // namespace kist::engine

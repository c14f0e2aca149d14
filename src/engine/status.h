// Whether a project's lock and its environment on this machine are what the inputs ask for. Looks,
// and changes nothing.
#pragma once

#include <string>
#include <vector>

#include "engine/project.h"

namespace kist::engine {

struct Status {
  enum class LockState { current, stale, missing };
  std::string folder;
  std::string environment;
  std::string chosen;     // "requirements.txt", with what else is here.
  std::string lock_path;
  LockState lock = LockState::missing;
  std::string stale_because;           // "requirements.txt or what it uses has changed".
  std::vector<std::string> changed;    // Inputs that changed since the last run, if that is known.
  size_t python_packages = 0;          // Locked.
  size_t debian_packages = 0;
  std::string base_image;              // Name, digest and Python, when the base is an image.
  std::string interpreter;             // "3.12.7": the locked one, when it is no part of the base.
  std::string tree;       // Of the locked environment; empty: it is not assembled here.
  std::string last_tree;  // That the last run used; empty: none did.
  std::vector<std::string> warnings;

  bool is_assembled() const { return !tree.empty(); }
  /// The last run used something else than what is locked now.
  bool has_drifted() const { return !last_tree.empty() && !tree.empty() && last_tree != tree; }
  bool is_up_to_date() const {
    return lock == LockState::current && is_assembled() && !has_drifted();
  }
};

/// Errors: those of locate(), read_inputs() and read_lock().
Result<Status> status_of(const environment::Context& context, const launch::RunRequest& request);

}  // namespace kist::engine

// The root in which kist's own tools work: resolving with uv, building source distributions. It is
// the environment's base with uv, and what a build needs beyond.
#pragma once

#include <string>
#include <vector>

#include "environment/context.h"
#include "environment/step.h"
#include "python/pylock.h"
#include "python/tags.h"
#include "store/root.h"

namespace kist::environment {

struct ToolRoot {
  std::string suite;  // "trixie"
  /// Of this machine's own architecture.
  const std::vector<python::LockedDebianPackage>& debian;
  const python::Target& target;
  /// The project's own, for this machine; null: that of the base.
  const store::Tree* interpreter = nullptr;
  /// The base when it is an image; null: the Debian packages are.
  const store::Tree* image = nullptr;
};

/// uv is /opt/kist/bin/uv in it, the interpreter target.python_program(). From the store, or fetched.
/// Errors: those of assemble_debian(), unavailable (offline, and uv was never fetched).
Result<store::Root> tool_root(const Context& context, const ToolRoot& request,
                              store::Transaction& tx);

/// Lets the step use the network as uv does on this host: its cache, settings and credentials. Only
/// for steps whose program is uv or git; never for what a package brings.
Result<void> give_uv_access(const Context& context, Step& step);

/// Shows a path of the host at its own place, when it exists.
void show(Step& step, const std::string& path, bool read_only);

}  // namespace kist::environment

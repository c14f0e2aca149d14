// From what a project asks for to a lock: Debian packages by libsolv, Python packages by uv, which
// runs inside a container of the base (docs/adr/0005-uv-in-a-container.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "environment/context.h"
#include "environment/interpreter.h"
#include "environment/suite.h"
#include "python/inputs.h"
#include "python/pylock.h"

namespace kist::environment {

/// An image that is the base, with what was found in it.
struct ChosenImage {
  std::string base;            // As kist.toml has it.
  python::LockedImage locked;
  std::string python;          // "3.12.7"; empty: the project has an interpreter of its own.
};

struct ResolveRequest {
  const python::Inputs& inputs;
  std::string project_folder;
  std::string lock_folder;  // Where the lock will lie: relative paths in it start there.
  std::string platform;     // "linux/amd64"
  Suite suite;
  std::optional<ChosenImage> image;  // The base, if it is one; then `suite` stands in for it elsewhere.
  std::optional<ChosenInterpreter> interpreter;  // Of the project's own; empty: the base's.
  std::optional<python::Lock> previous;  // Its versions are kept where the inputs allow it.
  bool upgrade = false;                  // Keep nothing.
  std::vector<std::string> upgrade_packages;  // Keep all but these.
};

/// What it fetches on the way (the base, uv) is kept through `tx`.
/// Errors: invalid (no solution: the resolver's explanation, line by line), not_found (a package
/// that does not exist), unavailable (network), denied (credentials).
Result<python::Lock> resolve(const Context& context, const ResolveRequest& request,
                             store::Transaction& tx);

}  // namespace kist::environment

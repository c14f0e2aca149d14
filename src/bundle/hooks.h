// Programs that the configuration wants to be run at points of a container's life.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/container.h"

namespace kist::bundle {

/// The state as the specification has it: what hooks get on stdin and `state` shows.
std::string state_text(const State& state);

/// Runs them in turn, each with `state` on stdin. `kind` is for messages: "prestart".
/// Errors: the first that cannot be run, fails, or takes longer than its timeout.
Result<void> run_hooks(const std::vector<Hook>& hooks, const char* kind, const State& state);
/// The same for hooks whose failure must not stop anything: each is told to `warn`.
void run_hooks_to_the_end(const std::vector<Hook>& hooks, const char* kind, const State& state,
                          const Runtime& runtime);

}  // namespace kist::bundle

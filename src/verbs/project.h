// Verbs about a project: lock, add, remove, init, status, size, tree, why, verify, build.
#pragma once

#include <string_view>

#include "cli/flags.h"
#include "cli/terminal.h"
#include "environment/context.h"

namespace kist::verbs {

/// Returns the exit status: 0, or 3 for "differs".
Result<int> project_verb(std::string_view name, const cli::Parsed& parsed,
                         const environment::Context& context, cli::Terminal& terminal);

}  // namespace kist::verbs

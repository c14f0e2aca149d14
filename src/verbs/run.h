// kist run, shell, task: prepare what is not ready, then run.
#pragma once

#include "cli/terminal.h"
#include "environment/context.h"

namespace kist::verbs {

/// Returns the exit status: the command's, or 125 when kist failed.
int run_verb(const environment::Context& context, const launch::RunRequest& request,
             cli::Terminal& terminal);

}  // namespace kist::verbs

// kist image prune, system prune, system df: they need the store.
#pragma once

#include "cli/flags.h"
#include "cli/terminal.h"
#include "environment/context.h"

namespace kist::verbs {

/// What images, containers and volumes take up: docker's `system df`. Returns the exit status.
Result<int> system_df(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
bool is_prune_verb(std::string_view name);
/// Returns the exit status.
Result<int> prune_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                       cli::Terminal& terminal);

}  // namespace kist::verbs

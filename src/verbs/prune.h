// kist image prune, system prune: they need the store.
#pragma once

#include "cli/flags.h"
#include "cli/terminal.h"
#include "environment/context.h"

namespace kist::verbs {

bool is_prune_verb(std::string_view name);
/// Returns the exit status.
Result<int> prune_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                       cli::Terminal& terminal);

}  // namespace kist::verbs

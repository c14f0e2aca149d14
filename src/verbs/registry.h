// `kist registry serve` and `kist registry gc`.
#pragma once

#include <string_view>

#include "cli/flags.h"
#include "cli/terminal.h"
#include "verbs/dispatch.h"

namespace kist::verbs {

bool is_registry_verb(std::string_view name);
/// Returns the exit status.
Result<int> registry_verb(std::string_view name, const cli::Parsed& parsed, const Machine& machine, cli::Terminal& terminal);

}  // namespace kist::verbs

// Verbs about this machine and its store: doctor, du, gc, fsck.
#pragma once

#include <string_view>

#include "cli/flags.h"
#include "cli/terminal.h"
#include "environment/context.h"
#include "http/client.h"

namespace kist::verbs {

bool is_machine_verb(std::string_view name);
/// Returns the exit status: 0, 1 when something is wrong, 3 when something was found.
Result<int> machine_verb(std::string_view name, const cli::Parsed& parsed,
                         const environment::Context& context, const http::Config& network,
                         cli::Terminal& terminal);

}  // namespace kist::verbs

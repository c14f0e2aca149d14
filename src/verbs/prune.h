// kist image prune, system prune, system df, info, version: of the whole store.
#pragma once

#include "cli/flags.h"
#include "cli/terminal.h"
#include "environment/context.h"

namespace kist::verbs {

/// What images, containers and volumes take up: docker's `system df`. Returns the exit status.
Result<int> system_df(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
/// The same with each of them: docker's `system df -v`.
Result<int> system_df_verbose(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
/// `kist info`, `kist version`. Return the exit status. Errors: invalid (--format).
Result<int> system_info(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> version_of(const cli::Parsed& parsed, cli::Terminal& terminal);
bool is_prune_verb(std::string_view name);
/// Returns the exit status.
Result<int> prune_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                       cli::Terminal& terminal);

}  // namespace kist::verbs

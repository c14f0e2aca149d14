// The verbs of project.h, one file each: what was asked for goes to the engine, what comes back is
// printed. Each returns the exit status.
#pragma once

#include "verbs/project.h"

namespace kist::verbs {

Result<int> lock_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal);
Result<int> init_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal);
Result<int> add_verb(const cli::Parsed& parsed, const environment::Context& context,
                     cli::Terminal& terminal);
Result<int> remove_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal& terminal);
Result<int> status_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal& terminal);
Result<int> size_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal);
Result<int> tree_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal);
Result<int> why_verb(const cli::Parsed& parsed, const environment::Context& context,
                     cli::Terminal& terminal);
Result<int> build_verb(const cli::Parsed& parsed, const environment::Context& context,
                       cli::Terminal& terminal);
Result<int> verify_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal& terminal);

/// The flags that all of them share: --env, --from, --project, --offline.
Result<launch::RunRequest> request_of(const cli::Parsed& parsed);

}  // namespace kist::verbs

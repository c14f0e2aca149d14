// The verbs of machine.h, one file each. Each returns the exit status.
#pragma once

#include "verbs/machine.h"

namespace kist::verbs {

Result<int> du_verb(const cli::Parsed& parsed, const environment::Context& context,
                    cli::Terminal& terminal);
Result<int> gc_verb(const cli::Parsed& parsed, const environment::Context& context,
                    cli::Terminal& terminal);
Result<int> fsck_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal);

}  // namespace kist::verbs

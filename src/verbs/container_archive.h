// Verbs about containers that need archives or images: export, commit, cp with a tar, prune of images.
#pragma once

#include "cli/flags.h"
#include "cli/terminal.h"
#include "environment/context.h"

namespace kist::verbs {

bool is_container_archive_verb(std::string_view name);
/// Returns the exit status.
Result<int> container_archive_verb(std::string_view name, const cli::Parsed& parsed,
                                   const environment::Context& context, cli::Terminal& terminal);

Result<int> export_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> commit_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);
Result<int> copy_tar_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal);

}  // namespace kist::verbs

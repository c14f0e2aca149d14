// What size, tree and why begin with.
#pragma once

#include "engine/packages.h"
#include "verbs/project_verbs.h"

namespace kist::verbs {

/// The packages of the locked and assembled environment that the flags name.
/// Errors: not_found (no lock, not assembled), and those of reading.
Result<engine::Packages> list_packages(const cli::Parsed& parsed,
                                       const environment::Context& context);

/// "numpy 2.1.0"
std::string title_of(const engine::Package& package);
const char* kind_text(engine::Package::Kind kind);

}  // namespace kist::verbs

// Maintainer scripts that kist cannot stand in for, run in a container; what they wrote, as a tree.
#pragma once

#include "debian/configure.h"
#include "environment/context.h"
#include "store/store.h"

namespace kist::environment {

/// Runs the jobs of debian::assemble(). Context and transaction must outlive the runner.
debian::JobRunner configure_runner(const Context& context, store::Transaction& tx);

/// The folder that a container used as its upper, as overlayfs left it: whiteouts are `removed`,
/// sockets and fifos are passed over. Contents go to `sink`. Errors: those of reading and writing.
Result<debian::JobResult> harvest_upper(const std::string& upper, store::ObjectSink& sink);

}  // namespace kist::environment

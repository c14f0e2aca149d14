// Makes the environments of this machine's projects whole again after a repair of the store.
#pragma once

#include "environment/context.h"

namespace kist::engine {

/// Assembles every environment that the store knows a lock of: what is there costs nothing, what a
/// repair took away is fetched. A project that is gone, or has no lock any more, is passed over.
/// Errors: those of assembling the first that fails.
Result<void> assemble_all(const environment::Context& context);

}  // namespace kist::engine

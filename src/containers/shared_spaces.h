// Namespaces of other containers: --pid container:NAME, --ipc container:NAME.
#pragma once

#include "containers/place.h"
#include "containers/record.h"
#include "containers/spec_of.h"

namespace kist::containers {

/// Writes into `host` which namespaces are joined. Gives the other's /dev/shm for what is shared of memory, attached
/// nowhere; not open: none is. Errors: invalid (the other does not run), not_found (it is gone), unsupported.
Result<os::Fd> join_others(const Place& place, const Record& record, SpecHost& host);

}  // namespace kist::containers

// A root's lease, taken without the store's library. Module-private.
#pragma once

#include <string>

#include "os/fd.h"

namespace kist::launch {

/// flock(SH) on the lease file of a root; not open when the root is gone or going. Never waits.
os::Fd hold_lease(const std::string& lease_file);

}  // namespace kist::launch

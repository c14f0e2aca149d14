// Standing in for a process of a container: until it ends, signals go to it, and a terminal's bytes
// go both ways.
#pragma once

#include <sys/types.h>

#include "bundle/container.h"
#include "os/fd.h"

namespace kist::runtime_cli {

/// From now on signals wait until stand_in_for() passes them on: to be called before the process is
/// made, or one that comes in between would end us and leave it alone.
void hold_signals();

/// Waits for `created.pid`, a child of ours, and returns its exit status, or 128 + signal. With a
/// terminal, our own becomes raw meanwhile.
Result<int> stand_in_for(const bundle::Created& created);

}  // namespace kist::runtime_cli

// How this machine reaches indexes and mirrors, from the variables and files that pip and uv read.
#pragma once

#include "verbs/dispatch.h"

namespace kist {

/// Errors: invalid (a settings file of pip or uv that cannot be read; names file and line).
Result<verbs::Machine> read_machine(launch::Host host);

}  // namespace kist

// How this machine reaches indexes and mirrors, from the variables and files that pip and uv read.
#pragma once

#include "verbs/dispatch.h"

namespace kist {

verbs::Machine read_machine(launch::Host host);

}  // namespace kist

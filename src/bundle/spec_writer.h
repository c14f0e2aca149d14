// A Spec as the config.json that is kept in a container's state.
#pragma once

#include <string>

#include "bundle/spec.h"

namespace kist::bundle {

/// What start, exec and remove need to know later: the process, hooks, namespaces, seccomp,
/// personality. read_spec() reads it back; mounts, devices and limits are not in it.
std::string spec_text(const Spec& spec);

}  // namespace kist::bundle

// The one place that reads the environment: variables, user, folders.
#pragma once

#include "launch/request.h"

namespace kist {

/// Errors: invalid (no home and no KIST_HOME, a working folder that is gone).
Result<launch::Host> read_host();

/// The path of the program `name` that belongs to this one: beside it, or in ../libexec/kist.
std::string sibling_program(const char* name);

}  // namespace kist

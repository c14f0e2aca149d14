#pragma once

#include <string_view>

namespace kist::python {

/// `python -c PROGRAM ROOT LIST OUTPUT LEVEL WORKERS`; see bytecode.h.
extern const std::string_view kBytecodeProgram;

}  // namespace kist::python

// Which Debian suite and which Python a project stands on.
#pragma once

#include <string>

#include "python/inputs.h"
#include "python/tags.h"

namespace kist::environment {

struct Suite {
  std::string name;    // "bookworm"
  std::string python;  // "3.11", as the suite has it.
  uint32_t glibc_minor = 36;
  std::string base() const { return "debian:" + name; }
};

/// The suite that the project names as its base, else the newest stable one whose interpreter
/// satisfies what the project says of Python. With an interpreter of the project's own for the
/// platform ("linux/amd64") the suite's does not matter.
/// Errors: unsupported (no suite has such a Python; says what there is, who asked, and what to write
/// for a standalone build), invalid.
Result<Suite> choose_suite(const python::Inputs& inputs, const std::string& platform);

/// Whether an interpreter of this version ("3.12.7", or "3.12" when more is not known) is what the
/// project asks for. Errors: unsupported (it is not; says who asked), invalid (requires-python).
Result<void> check_python(const std::string& version, const python::Inputs& inputs);

/// The suite of a lock's base. Errors: unsupported (another base).
Result<Suite> suite_of_base(const std::string& base);

/// What kist's own tools stand on where the environment's base cannot be used.
Result<Suite> newest_suite();

}  // namespace kist::environment

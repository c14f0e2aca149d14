// Which Python another tool's lock is for.
#pragma once

#include <string>
#include <string_view>

#include "python/inputs.h"

namespace kist::python {

struct LockPython {
  std::string version;   // "3.11", "3.11.4": exactly this one. Empty: any in the range.
  std::string requires_range;  // PEP 440, ">=3.11"; empty: not said.
};

/// uv.lock and PEP 751: `requires-python`. poetry.lock: `metadata.python-versions`, with Poetry's
/// carets and tildes in PEP 440's words; a union ("||") is not told. Pipfile.lock:
/// `_meta.requires`. Bounded like the readers of these files. A text that is no such file gives
/// nothing: its reader says later what is wrong.
LockPython python_of_lock(InputKind kind, std::string_view text);

}  // namespace kist::python

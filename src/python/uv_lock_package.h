// One [[package]] of uv.lock in the words of PEP 751. Only uv_lock.cpp needs this.
#pragma once

#include <optional>

#include "base/result.h"
#include "python/pylock.h"
#include "toml/toml.h"

namespace kist::python {

/// Empty for a virtual project, of which nothing is installed.
/// Errors: as read_uv_lock().
Result<std::optional<LockedPackage>> read_uv_package(toml::Fields& fields);

}  // namespace kist::python

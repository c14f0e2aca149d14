// What kist's locks have beyond PEP 751. Module-private.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "python/pylock.h"
#include "toml/toml.h"

namespace kist::python {

/// A list of names, normalized. Errors: invalid (something that is no name).
Result<std::vector<std::string>> read_names(toml::Fields& fields, std::string_view key);
/// Errors: invalid, unsupported (written by a later kist).
Result<KistSection> read_kist_section(toml::Fields& fields);

}  // namespace kist::python

// The byte-code of a whole environment as a part of it, beside the parts that parts_of() gives.
#pragma once

#include <vector>

#include "environment/assemble.h"

namespace kist::environment {

/// What `complete` has that no part has, with the folders that lead to it. Pure.
/// Errors: those of store::merge().
Result<store::Tree> bytecode_part(const store::Tree& complete, const std::vector<NamedTree>& parts);

}  // namespace kist::environment

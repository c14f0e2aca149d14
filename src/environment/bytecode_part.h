// The byte-code of a whole environment, shared out among the parts that parts_of() gives.
#pragma once

#include <functional>
#include <vector>

#include "environment/assemble.h"

namespace kist::environment {

/// What `complete` has that no part has goes to the part that has the source of it, if `takes` says so of
/// that part's name; folders that lead there go along. Returns the rest: the standard library's, say.
/// So what changes with a package is in one part with it. Pure. Errors: those of store::merge().
Result<store::Tree> share_out_bytecode(const store::Tree& complete, std::vector<NamedTree>& parts,
                                       const std::function<bool(const std::string& name)>& takes);

}  // namespace kist::environment

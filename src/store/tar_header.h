// The header of one entry of a layer's tar. Module-private; pure.
#pragma once

#include <string>

#include "store/tree.h"

namespace kist::store {

inline constexpr uint64_t kTarBlock = 512;

/// One or more blocks: a pax header first if ustar cannot say it all. Errors: unsupported.
Result<std::string> tar_header(const Entry& entry);

}  // namespace kist::store

// The header of one entry of a tar that we write: of a layer, of an archive of images. Pure.
#pragma once

#include <string>

#include "store/tree.h"

namespace kist::store {

inline constexpr uint64_t kTarBlock = 512;

/// One or more blocks: a pax header first if ustar cannot say it all. Errors: unsupported.
Result<std::string> tar_header(const Entry& entry);

}  // namespace kist::store

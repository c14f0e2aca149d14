// CRC-64 as ISO 3309 has it (x^64 + x^4 + x^3 + x + 1, reflected): what tar-split data tells of contents.
#pragma once

#include <cstdint>
#include <string_view>

namespace kist::store {

/// Of `bytes` behind those that gave `crc`; 0 in the beginning.
uint64_t crc64_iso(uint64_t crc, std::string_view bytes);

}  // namespace kist::store

// What every fuzz target gives, beside LLVMFuzzerTestOneInput.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kist::fuzz {

/// Well-formed inputs to start from, made by code so that they follow the format when it changes.
/// Each target defines it once.
std::vector<std::string> seeds();

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the process: a property does not hold. libFuzzer then keeps the input.
[[noreturn]] void fail(std::string_view property);
inline void expect(bool holds, std::string_view property) {
  if (!holds) fail(property);
}

/// A path at which an open file with these bytes can be opened; valid until the next call.
std::string memory_file(std::string_view bytes);

}  // namespace kist::fuzz

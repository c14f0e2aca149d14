#include "launch/line_file.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include "base/text.h"

namespace kist::launch {

std::string text_key(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

void put_line(std::string& out, std::string_view key, std::string_view value) {
  out += key;
  out += ' ';
  out += percent_encode(value);
  out += '\n';
}

}  // namespace kist::launch

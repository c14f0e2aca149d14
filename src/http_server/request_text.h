// The parts of a request that are text of their own: targets, queries, ranges, lists. Pure; every
// byte of them is a stranger's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::http_server {

struct Target {
  std::string path;  // Decoded; begins with '/'.
  std::multimap<std::string, std::string, std::less<>> query;

  /// The first value; none when it is not there.
  const std::string* find(std::string_view key) const;
};

/// Of "/path?key=value", or of "http://host/path" as proxies send it. At most 100 keys.
/// Errors: invalid (no path, a bad escape, a NUL).
Result<Target> parse_target(std::string_view text);

/// "%41" as "A"; with `is_form` also "+" as a space. None for a bad escape.
std::optional<std::string> decode_percent(std::string_view text, bool is_form);
/// For a value in a query: all but letters, digits and "-._~" escaped.
std::string encode_percent(std::string_view text);

/// What a Range field asks for of `size_bytes`, RFC 9110, 14.
struct ByteRange {
  enum class Kind { whole, part, unsatisfiable } kind = Kind::whole;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};
/// Several ranges, or another unit, mean the whole, as the RFC allows.
ByteRange parse_range(std::string_view field, uint64_t size_bytes);

/// "0-499" or "bytes 0-499/1000" of a chunk: its first and last byte.
struct ChunkRange {
  uint64_t first = 0;
  uint64_t last = 0;
};
std::optional<ChunkRange> parse_content_range(std::string_view field);

/// Whether an If-None-Match field names this tag (with its quotes). Weak ones match.
bool names_tag(std::string_view field, std::string_view tag);

/// "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(int64_t unix_seconds);

/// The user and the password of "Basic …". None: another scheme, or not well formed.
std::optional<std::pair<std::string, std::string>> parse_basic(std::string_view authorization);
/// The token of "Bearer …"; empty for another scheme.
std::string_view parse_bearer(std::string_view authorization);

}  // namespace kist::http_server

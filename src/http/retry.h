// When to try again, and when not.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kist::http {

using Milliseconds = std::chrono::milliseconds;

/// A server that asks for more patience than this is reported instead of waited for.
constexpr std::chrono::seconds kLongestRetryAfter{60};

/// Whether an HTTP status may be another one a moment later: 408, 425, 429 and the 5xx that do not
/// say "never" (501, 505).
bool may_pass(int status);

/// The wait before repetition number `repetition` (1 is the first): `first`, doubled each time, at
/// most 8 s, plus up to half of that by `entropy`, so that many clients do not come back at once.
Milliseconds back_off(Milliseconds first, int repetition, uint32_t entropy);

/// Retry-After: seconds or an HTTP date (RFC 9110, 10.2.3). `now_unix` in seconds.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, int64_t now_unix);

}  // namespace kist::http

// Sizes, ages and times as docker prints them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kist::format {

/// "4.26MB", "0B": four significant characters, decimal units.
std::string docker_size(uint64_t bytes);
/// "Less than a second", "3 weeks", "About an hour": docker's words for a length of time.
std::string docker_duration(int64_t seconds);
/// "2024-01-18T01:04:14.5Z" or with an offset, as seconds since 1970; empty when it is none.
std::optional<int64_t> parse_time(std::string_view rfc3339);
/// "2024-01-18T01:04:14Z"
std::string rfc3339(int64_t seconds);
/// "2024-01-18 01:04:14 +0000 UTC"
std::string docker_time(int64_t seconds);

}  // namespace kist::format

// The ids that a person may give to containers besides the own one: /etc/subuid and /etc/subgid,
// subuid(5). Only the files are read; what a directory service gives (libsubid) is not known.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kist::os {

struct IdRange {
  uint32_t first = 0;
  uint32_t count = 0;
};

/// Of `text`, the ranges of the person, by name or number, in order. Odd lines are passed over.
std::vector<IdRange> parse_subordinate_ids(std::string_view text, std::string_view name, uint32_t uid);

/// Empty when there are none, or the file cannot be read. `file`: "/etc/subuid", "/etc/subgid".
std::vector<IdRange> subordinate_ids(const std::string& file, uint32_t uid);

}  // namespace kist::os

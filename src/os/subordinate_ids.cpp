#include "os/subordinate_ids.h"

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "os/files.h"

namespace kist::os {
namespace {

constexpr uint64_t kMostBytes = 4u << 20;
constexpr size_t kMostRanges = 300;  // The kernel takes 340 lines of a map.

// Reads the file itself: in a static program getpwuid would load shared objects.
std::string name_of(uint32_t uid) {
  const auto text = read_file("/etc/passwd", kMostBytes);
  for (const std::string_view line : text ? lines(*text) : std::vector<std::string_view>()) {
    const auto fields = split(line, ':');
    if (fields.size() > 2 && parse_number(fields[2]) == uid) return std::string(fields[0]);
  }
  return {};
}

}  // namespace

std::vector<IdRange> parse_subordinate_ids(std::string_view text, std::string_view name, uint32_t uid) {
  constexpr uint64_t kLast = std::numeric_limits<uint32_t>::max() - 1;
  std::vector<IdRange> out;
  for (const std::string_view line : lines(text)) {
    const auto fields = split(trim(line), ':');
    if (fields.size() != 3 || out.size() == kMostRanges) continue;
    if (name.empty() || fields[0] != name)
      if (parse_number(fields[0]) != uid) continue;
    const auto first = parse_number(fields[1]);
    const auto count = parse_number(fields[2]);
    if (!first || !count || *count == 0 || *first == 0 || *first > kLast || *count > kLast - *first + 1) continue;
    out.push_back({static_cast<uint32_t>(*first), static_cast<uint32_t>(*count)});
  }
  return out;
}

std::vector<IdRange> subordinate_ids(const std::string& file, uint32_t uid) {
  const auto text = read_file(file, kMostBytes);
  if (!text) return {};
  return parse_subordinate_ids(*text, name_of(uid), uid);
}

}  // namespace kist::os

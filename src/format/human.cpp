#include "format/human.h"

#include <fmt/format.h>

#include <array>
#include <ctime>

#include "base/text.h"

namespace kist::format {
namespace {

std::tm calendar(int64_t seconds) {
  std::tm out = {};
  const auto time = static_cast<std::time_t>(seconds);
  ::gmtime_r(&time, &out);
  return out;
}

std::optional<int> digits(std::string_view text, size_t at, size_t count) {
  if (at + count > text.size()) return std::nullopt;
  const auto number = parse_number(text.substr(at, count));
  if (!number) return std::nullopt;
  return static_cast<int>(*number);
}

}  // namespace

std::string docker_size(uint64_t bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  while (size >= 1000 && unit + 1 < kUnits.size()) {
    size /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g}{}", size, kUnits[unit]);
}

std::string docker_duration(int64_t seconds) {
  const int64_t minutes = seconds / 60;
  const int64_t hours = (seconds + 1800) / 3600;  // Rounded, as docker does.
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return fmt::format("{} seconds", seconds);
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return fmt::format("{} minutes", minutes);
  if (hours == 1) return "About an hour";
  if (hours < 48) return fmt::format("{} hours", hours);
  if (hours < 24 * 7 * 2) return fmt::format("{} days", hours / 24);
  if (hours < 24 * 30 * 2) return fmt::format("{} weeks", hours / 24 / 7);
  if (hours < 24 * 365 * 2) return fmt::format("{} months", hours / 24 / 30);
  return fmt::format("{} years", hours / 24 / 365);
}

std::optional<int64_t> parse_time(std::string_view text) {
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  const auto second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  std::tm parts = {};
  parts.tm_year = *year - 1900;
  parts.tm_mon = *month - 1;
  parts.tm_mday = *day;
  parts.tm_hour = *hour;
  parts.tm_min = *minute;
  parts.tm_sec = *second;
  int64_t seconds = ::timegm(&parts);
  const size_t zone = text.find_first_not_of(".0123456789", 19);
  if (zone == std::string_view::npos || text[zone] == 'Z' || text[zone] == 'z') return seconds;
  const auto offset_hours = digits(text, zone + 1, 2);
  const auto offset_minutes = digits(text, zone + 4, 2);
  if (!offset_hours || !offset_minutes) return std::nullopt;
  const int64_t offset = *offset_hours * 3600 + *offset_minutes * 60;
  return text[zone] == '-' ? seconds + offset : seconds - offset;
}

std::string rfc3339(int64_t seconds) {
  const std::tm t = calendar(seconds);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", t.tm_year + 1900, t.tm_mon + 1,
                     t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}

std::string docker_time(int64_t seconds) {
  const std::tm t = calendar(seconds);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} +0000 UTC", t.tm_year + 1900,
                     t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}

}  // namespace kist::format

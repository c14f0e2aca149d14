// The ways in which docker's commands let one write a time.
#include <time.h>

#include <charconv>

#include "base/text.h"
#include "containers/log_reader.h"

namespace kist::containers {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// Digits after a point, as nanoseconds.
std::optional<int64_t> fraction(std::string_view digits) {
  if (digits.empty() || digits.size() > 9) return std::nullopt;
  auto value = parse_number(digits);
  if (!value) return std::nullopt;
  for (size_t i = digits.size(); i < 9; ++i) *value *= 10;
  return static_cast<int64_t>(*value);
}

// "1h30m", "10s", "1.5h", "300ms"
std::optional<int64_t> span(std::string_view text) {
  int64_t total = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const std::string_view unit = text.substr(0, text.find_first_of("0123456789"));
    const double size = unit == "h" ? 3600e9 : unit == "m" ? 60e9 : unit == "s" ? 1e9 : unit == "ms" ? 1e6 : unit == "us" ? 1e3 : unit == "ns" ? 1 : 0;
    if (size == 0 || number * size > 9e18) return std::nullopt;
    total += static_cast<int64_t>(number * size);
    text.remove_prefix(unit.size());
  }
  return total;
}

std::optional<int> digits(std::string_view text, size_t at, size_t count) {
  if (at + count > text.size()) return std::nullopt;
  const auto value = parse_number(text.substr(at, count));
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

// "", "Z", "+01:00"
std::optional<int64_t> offset(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = digits(text, 1, 2);
  const auto minutes = digits(text, 4, 2);
  if (!hours || !minutes) return std::nullopt;
  return (text[0] == '+' ? 1 : -1) * (*hours * 3600 + *minutes * 60) * kSecond;
}

std::optional<int64_t> calendar(std::string_view text) {
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  if (!year || !month || !day || text[4] != '-' || text[7] != '-') return std::nullopt;
  tm parts = {};
  parts.tm_year = *year - 1900;
  parts.tm_mon = *month - 1;
  parts.tm_mday = *day;
  text.remove_prefix(10);
  int64_t nanoseconds = 0;
  if (!text.empty() && (text[0] == 'T' || text[0] == ' ')) {
    const auto hour = digits(text, 1, 2), minute = digits(text, 4, 2);
    if (!hour || !minute || text[3] != ':') return std::nullopt;
    parts.tm_hour = *hour;
    parts.tm_min = *minute;
    text.remove_prefix(6);
    if (!text.empty() && text[0] == ':') {
      const auto second = digits(text, 1, 2);
      if (!second) return std::nullopt;
      parts.tm_sec = *second;
      text.remove_prefix(3);
    }
    if (!text.empty() && text[0] == '.') {
      const size_t end = std::min(text.find_first_not_of("0123456789", 1), text.size());
      const auto part = fraction(text.substr(1, end - 1));
      if (!part) return std::nullopt;
      nanoseconds = *part;
      text.remove_prefix(end);
    }
  }
  const auto shift = offset(text);
  if (!shift) return std::nullopt;
  return ::timegm(&parts) * kSecond + nanoseconds - *shift;
}

}  // namespace

std::optional<int64_t> parse_time(std::string_view text, int64_t now_ns) {
  if (text.size() >= 10 && text[4] == '-') return calendar(text);
  const size_t point = std::min(text.find('.'), text.size());
  if (const auto seconds = parse_number(text.substr(0, point)); seconds && *seconds < 9'000'000'000) {
    const auto rest = point == text.size() ? std::optional<int64_t>(0) : fraction(text.substr(point + 1));
    if (rest) return static_cast<int64_t>(*seconds) * kSecond + *rest;
  }
  const auto ago = text.empty() ? std::nullopt : span(text);
  return ago ? std::optional(now_ns - *ago) : std::nullopt;
}

}  // namespace kist::containers

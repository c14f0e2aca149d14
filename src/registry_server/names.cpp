#include "registry_server/names.h"

#include <algorithm>

namespace kist::registry_server {
namespace {

constexpr size_t kMaxName = 255;
constexpr size_t kMaxTag = 128;

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_word(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_'; }

// One separator: ".", "_", "__", or any number of "-".
bool is_separator(std::string_view text) {
  if (text == "." || text == "_" || text == "__") return true;
  return !text.empty() && text.find_first_not_of('-') == std::string_view::npos;
}

bool is_component(std::string_view part) {
  if (part.empty() || !is_lower_or_digit(part.front()) || !is_lower_or_digit(part.back())) return false;
  for (size_t at = 0; at < part.size();) {
    if (is_lower_or_digit(part[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (!is_lower_or_digit(part[end])) ++end;  // The last one is a letter.
    if (!is_separator(part.substr(at, end - at))) return false;
    at = end;
  }
  return true;
}

// '*' within one component. Linear but for the last '*', which is tried at every place.
bool fits_component(std::string_view text, std::string_view pattern) {
  size_t t = 0, p = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string_view first_part(std::string_view& rest) {
  const size_t slash = rest.find('/');
  const std::string_view part = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  return part;
}

}  // namespace

bool is_repository_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return false;
  while (true) {
    const size_t slash = name.find('/');
    if (!is_component(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name = name.substr(slash + 1);
  }
}

bool is_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > kMaxTag || !is_word(tag.front())) return false;
  return std::all_of(tag.begin(), tag.end(), [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

bool fits_pattern(std::string_view name, std::string_view pattern) {
  // As in fits_component(), with components for letters and "**" for '*'.
  std::string_view after_stars, mark;
  bool has_stars = false;
  while (!name.empty()) {
    std::string_view next_pattern = pattern;
    const std::string_view want = first_part(next_pattern);
    if (want == "**" && !pattern.empty()) {
      has_stars = true;
      after_stars = next_pattern;
      mark = name;
      pattern = next_pattern;
      continue;
    }
    std::string_view next_name = name;
    const std::string_view part = first_part(next_name);
    if (!pattern.empty() && fits_component(part, want)) {
      name = next_name;
      pattern = next_pattern;
    } else if (has_stars) {
      first_part(mark);
      name = mark;
      pattern = after_stars;
    } else {
      return false;
    }
  }
  return pattern.empty() || pattern == "**";
}

}  // namespace kist::registry_server

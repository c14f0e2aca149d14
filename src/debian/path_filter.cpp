#include "debian/path_filter.h"

#include <fmt/format.h>

namespace kist::debian {
namespace {

// Matches one byte against the "[…]" at `at`; sets `end` behind it. A '[' without ']' is itself.
bool matches_set(char byte, std::string_view pattern, size_t at, size_t& end) {
  const size_t close = pattern.find(']', at + 2);
  if (close == std::string_view::npos) {
    end = at + 1;
    return byte == '[';
  }
  end = close + 1;
  std::string_view set = pattern.substr(at + 1, close - at - 1);
  const bool negated = set.starts_with('!') || set.starts_with('^');
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found = found || (set[i] <= byte && byte <= set[i + 2]);
      i += 2;
    } else {
      found = found || set[i] == byte;
    }
  }
  return found != negated;
}

}  // namespace

bool matches_pattern(std::string_view text, std::string_view pattern) {
  size_t t = 0;
  size_t p = 0;
  size_t star = std::string_view::npos;  // The last '*', to which a mismatch goes back.
  size_t star_text = 0;
  while (t < text.size()) {
    size_t next = p + 1;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || (pattern[p] == '[' ? matches_set(text[t], pattern, p, next)
                                                        : pattern[p] == text[t]))) {
      ++t;
      p = next;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

PathFilter& PathFilter::exclude(std::string pattern) {
  rules_.push_back({true, std::move(pattern)});
  return *this;
}

PathFilter& PathFilter::include(std::string pattern) {
  rules_.push_back({false, std::move(pattern)});
  return *this;
}

bool PathFilter::excludes(std::string_view path) const {
  std::string absolute("/");
  absolute += path;
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule)
    if (matches_pattern(absolute, rule->pattern)) return rule->exclude;
  return false;
}

std::string PathFilter::text() const {
  std::string out;
  for (const Rule& rule : rules_)
    out += fmt::format("{} {}\n", rule.exclude ? "path-exclude" : "path-include", rule.pattern);
  return out;
}

PathFilter PathFilter::slim() {
  PathFilter filter;
  filter.exclude("/usr/share/doc/*").include("/usr/share/doc/*/copyright");
  filter.exclude("/usr/share/man/*").exclude("/usr/share/info/*").exclude("/usr/share/groff/*");
  filter.exclude("/usr/share/lintian/*").exclude("/usr/share/linda/*");
  filter.exclude("/usr/share/locale/*").include("/usr/share/locale/locale.alias");
  filter.exclude("/usr/share/bug/*").exclude("/usr/share/doc-base/*");
  return filter;
}

}  // namespace kist::debian

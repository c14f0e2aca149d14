#include "engine/ignore_rules.h"

#include <algorithm>

#include "base/text.h"

namespace kist::engine {
namespace {

constexpr std::string_view kAnyFolders = "**";

// The set that begins at pattern[at] == '['; `at` is moved behind it. False when it is no set.
bool read_set(std::string_view pattern, size_t& at, char c, bool& found) {
  size_t i = at + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  found = false;
  for (bool first = true; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) {
      at = i + 1;
      found = found != negated;
      return true;
    }
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    const char low = pattern[i++];
    char high = low;
    if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
      high = pattern[i + 1];
      i += 2;
    }
    found = found || (low <= c && c <= high);
  }
  return false;
}

// One character of the name against what stands at pattern[at]; `at` is moved behind it if it fits.
bool matches_one(std::string_view pattern, size_t& at, char c) {
  if (pattern[at] == '?') {
    ++at;
    return true;
  }
  if (pattern[at] == '[') {
    bool found = false;
    size_t behind = at;
    if (read_set(pattern, behind, c, found)) {
      if (found) at = behind;
      return found;
    }
  }
  const size_t literal = pattern[at] == '\\' && at + 1 < pattern.size() ? at + 1 : at;
  if (pattern[literal] != c) return false;
  at = literal + 1;
  return true;
}

// Parts against names: row by row, so that no pattern takes long.
bool matches_parts(const std::vector<std::string>& pattern, const std::vector<std::string_view>& names) {
  std::vector<char> row(names.size() + 1, 0);
  row[0] = 1;
  for (const std::string& part : pattern) {
    std::vector<char> next(names.size() + 1, 0);
    for (size_t i = 0; i <= names.size(); ++i) {
      if (part == kAnyFolders)
        next[i] = static_cast<char>(row[i] != 0 || (i > 0 && next[i - 1] != 0));
      else if (i > 0)
        next[i] = static_cast<char>(row[i - 1] != 0 && matches_name(part, names[i - 1]));
    }
    row = std::move(next);
  }
  return row[names.size()] != 0;
}

std::vector<std::string> parts_of(std::string_view pattern) {
  std::vector<std::string> parts;
  for (const std::string_view part : split(pattern, '/'))
    if (!part.empty() && part != ".") parts.emplace_back(part);
  return parts;
}

}  // namespace

bool matches_name(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0;
  size_t star = std::string_view::npos, from = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = n;
    } else if (p < pattern.size() && matches_one(pattern, p, name[n])) {
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

void IgnoreRules::add_git(std::string_view folder, std::string_view text) {
  for (std::string_view line : lines(text)) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    // Spaces at the end mean nothing unless there is a backslash before them.
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    Rule rule;
    rule.folder = folder;
    if (line.starts_with('!')) {
      rule.is_exception = true;
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      rule.only_folders = true;
      line.remove_suffix(1);
    }
    const bool is_anchored = line.find('/') != std::string_view::npos;
    rule.parts = parts_of(line);
    if (rule.parts.empty()) continue;
    if (!is_anchored) rule.parts.insert(rule.parts.begin(), std::string(kAnyFolders));
    // "a/**" is what is in a, not a itself.
    if (rule.parts.back() == kAnyFolders) rule.parts.emplace_back("*");
    git_.push_back(std::move(rule));
  }
}

void IgnoreRules::add_docker(std::string_view text) {
  for (std::string_view line : lines(text)) {
    line = trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    Rule rule;
    if (line.starts_with('!')) {
      rule.is_exception = true;
      line = trim(line.substr(1));
    }
    rule.parts = parts_of(line);
    if (!rule.parts.empty()) docker_.push_back(std::move(rule));
  }
}

bool IgnoreRules::git_ignores(std::string_view path, bool is_folder) const {
  for (auto rule = git_.rbegin(); rule != git_.rend(); ++rule) {
    if (rule->only_folders && !is_folder) continue;
    std::string_view below = path;
    if (!rule->folder.empty()) {
      if (!path.starts_with(rule->folder) || path.size() <= rule->folder.size() ||
          path[rule->folder.size()] != '/')
        continue;
      below = path.substr(rule->folder.size() + 1);
    }
    if (matches_parts(rule->parts, split(below, '/'))) return !rule->is_exception;
  }
  return false;
}

// A pattern that matches a folder matches all in it.
bool IgnoreRules::docker_ignores(std::string_view path) const {
  const auto names = split(path, '/');
  for (auto rule = docker_.rbegin(); rule != docker_.rend(); ++rule)
    for (size_t count = 1; count <= names.size(); ++count)
      if (matches_parts(rule->parts, {names.begin(), names.begin() + static_cast<ptrdiff_t>(count)}))
        return !rule->is_exception;
  return false;
}

bool IgnoreRules::ignores(std::string_view path, bool is_folder) const {
  return git_ignores(path, is_folder) || docker_ignores(path);
}

bool IgnoreRules::may_hold_exceptions(std::string_view folder) const {
  if (git_ignores(folder, true)) return false;
  return std::any_of(docker_.begin(), docker_.end(), [](const Rule& rule) { return rule.is_exception; });
}

}  // namespace kist::engine

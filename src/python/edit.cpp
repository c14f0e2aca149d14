#include "python/edit.h"

#include <algorithm>

#include "base/text.h"

namespace kist::python {
namespace {

// What one requirement takes in a requirements.txt: its physical lines, and the bytes of the first
// that are neither indentation nor comment.
struct Place {
  size_t begin = 0, end = 0;  // Whole lines, with the last newline.
  size_t content = 0;         // Where the requirement starts.
  std::string comment;        // With the space before it; of the last line.
  std::string name;           // Normalized.
  bool is_bare = true;        // Nothing but name and extras.
};

bool is_space(char c) { return c == ' ' || c == '\t'; }

size_t comment_at(std::string_view line) {
  for (size_t i = 0; i < line.size(); ++i)
    if (line[i] == '#' && (i == 0 || is_space(line[i - 1]))) return i;
  return line.size();
}

// Without what pip allows behind a requirement (" --hash=…"), and without "-e ".
std::string_view requirement_in(std::string_view line) {
  for (const std::string_view option : {"-e", "--editable"}) {
    if (!line.starts_with(option)) continue;
    std::string_view rest = line.substr(option.size());
    if (rest.empty() || !(is_space(rest.front()) || rest.front() == '=')) return {};
    rest.remove_prefix(1);
    return trim(rest);
  }
  if (line.starts_with('-')) return {};
  for (size_t i = 0; i + 1 < line.size(); ++i)
    if (is_space(line[i]) && line[i + 1] == '-') return trim(line.substr(0, i));
  return line;
}

Result<std::vector<Place>> places_in(std::string_view text) {
  if (!is_valid_utf8(text))
    return Error(Code::invalid, "the file is not UTF-8").hint("convert it with `iconv -t utf-8`");
  std::vector<Place> places;
  size_t at = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  while (at < text.size()) {
    Place place{.begin = at};
    std::string joined;
    bool goes_on = true;
    while (goes_on && at < text.size()) {
      const size_t newline = std::min(text.find('\n', at), text.size());
      std::string_view line = text.substr(at, newline - at);
      if (line.ends_with('\r')) line.remove_suffix(1);
      const size_t comment = comment_at(line);
      goes_on = line.ends_with('\\') && comment == line.size();
      if (goes_on) line.remove_suffix(1);
      const std::string_view code = line.substr(0, std::min(comment, line.size()));
      if (!goes_on && comment < line.size()) {
        const size_t last = code.find_last_not_of(" \t");
        place.comment = line.substr(last == std::string_view::npos ? 0 : last + 1);
      }
      joined += code;
      at = std::min(newline + 1, text.size());
    }
    place.end = at;
    const std::string_view line = trim(joined);
    const std::string_view written = requirement_in(line);
    if (written.empty()) continue;
    place.content = text.find_first_not_of(" \t", place.begin);
    const auto parsed = parse_requirement(written);
    if (!parsed || parsed->name.empty()) continue;
    place.name = parsed->name;
    place.is_bare = parsed->kind == Requirement::Kind::index && parsed->specifiers.empty() &&
                    parsed->marker.empty();
    places.push_back(std::move(place));
  }
  return places;
}

std::string_view newline_of(std::string_view text) {
  const size_t first = text.find('\n');
  return first != std::string_view::npos && first > 0 && text[first - 1] == '\r' ? "\r\n" : "\n";
}

bool is_bare(const Requirement& requirement) {
  return requirement.kind == Requirement::Kind::index && requirement.specifiers.empty() &&
         requirement.marker.empty() && requirement.extras.empty();
}

}  // namespace

Result<std::string> add_to_requirements(std::string_view text, const Requirement& requirement) {
  const auto places = TRY(places_in(text));
  const std::string_view newline = newline_of(text);
  const Place* found = nullptr;
  for (const Place& place : places) {
    if (place.name != requirement.name) continue;
    if (is_bare(requirement)) return std::string(text);
    if (found != nullptr)
      return Error(Code::invalid, "'{}' stands there several times", requirement.name)
          .hint("change it in the file yourself, then `kist lock`");
    found = &place;
  }
  std::string out(text);
  if (found != nullptr) {
    out.replace(found->content, found->end - found->content,
                fmt::format("{}{}{}", requirement.text, found->comment, newline));
    return out;
  }
  if (!out.empty() && !out.ends_with('\n')) out += newline;
  return out + requirement.text + std::string(newline);
}

Result<std::optional<std::string>> remove_from_requirements(std::string_view text,
                                                            std::string_view name) {
  const auto places = TRY(places_in(text));
  std::string out;
  size_t kept = 0;
  bool found = false;
  for (const Place& place : places) {
    if (place.name != name) continue;
    found = true;
    out += text.substr(kept, place.begin - kept);
    kept = place.end;
  }
  if (!found) return std::optional<std::string>();
  return std::optional(out + std::string(text.substr(kept)));
}

std::optional<std::string> remove_from_apt_file(std::string_view text, std::string_view name) {
  std::string out;
  bool found = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string_view line = text.substr(at, end - at);
    const bool is_it = trim(line.substr(0, line.find('#'))) == name;
    found = found || is_it;
    if (!is_it) out += line;
    at = end;
  }
  if (!found) return std::nullopt;
  return out;
}

}  // namespace kist::python

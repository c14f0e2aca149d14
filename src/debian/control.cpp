#include "debian/control.h"

#include <algorithm>

#include "base/text.h"

namespace kist::debian {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
           return lower(x) == lower(y);
         });
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// '~' before the end, the end before letters, letters before the rest.
int order(std::string_view text, size_t at) {
  if (at >= text.size() || is_digit(text[at])) return 0;
  if (text[at] == '~') return -1;
  const int byte = static_cast<unsigned char>(text[at]);
  return is_letter(text[at]) ? byte : byte + 256;
}

int compare_part(std::string_view a, std::string_view b) {
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    while ((i < a.size() && !is_digit(a[i])) || (j < b.size() && !is_digit(b[j]))) {
      const int difference = order(a, i) - order(b, j);
      if (difference != 0) return difference;
      ++i;
      ++j;
    }
    while (i < a.size() && a[i] == '0') ++i;
    while (j < b.size() && b[j] == '0') ++j;
    int first_difference = 0;
    while (i < a.size() && j < b.size() && is_digit(a[i]) && is_digit(b[j])) {
      if (first_difference == 0) first_difference = a[i] - b[j];
      ++i;
      ++j;
    }
    if (i < a.size() && is_digit(a[i])) return 1;
    if (j < b.size() && is_digit(b[j])) return -1;
    if (first_difference != 0) return first_difference;
  }
  return 0;
}

struct Version {
  std::string_view epoch, upstream, revision;
};

Version parts_of(std::string_view text) {
  Version version{"0", text, ""};
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    version.epoch = text.substr(0, colon);
    version.upstream = text.substr(colon + 1);
  }
  if (const size_t dash = version.upstream.rfind('-'); dash != std::string_view::npos) {
    version.revision = version.upstream.substr(dash + 1);
    version.upstream = version.upstream.substr(0, dash);
  }
  return version;
}

Relation parse_relation(std::string_view text) {
  Relation relation;
  const size_t end = text.find_first_of(" (:[<");
  relation.name = trim(text.substr(0, end));
  const size_t open = text.find('(');
  const size_t close = text.find(')', open == std::string_view::npos ? 0 : open);
  if (open == std::string_view::npos || close == std::string_view::npos) return relation;
  const std::string_view inside = trim(text.substr(open + 1, close - open - 1));
  const size_t op_end = inside.find_first_not_of("<=>");
  if (op_end == std::string_view::npos) return relation;
  relation.op = inside.substr(0, op_end);
  relation.version = trim(inside.substr(op_end));
  return relation;
}

}  // namespace

std::string_view Paragraph::get(std::string_view name) const {
  for (const auto& [field, value] : fields_)
    if (same_name(field, name)) return value;
  return {};
}

bool Paragraph::has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const auto& field) { return same_name(field.first, name); });
}

void Paragraph::set(std::string_view name, std::string value) {
  for (auto& [field, old] : fields_) {
    if (!same_name(field, name)) continue;
    old = std::move(value);
    return;
  }
  fields_.emplace_back(name, std::move(value));
}

std::vector<std::string> Paragraph::words(std::string_view name) const {
  std::vector<std::string> out;
  std::string_view value = get(name);
  while (true) {
    const size_t begin = value.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return out;
    value.remove_prefix(begin);
    const size_t end = std::min(value.find_first_of(" \t\n"), value.size());
    out.emplace_back(value.substr(0, end));
    value.remove_prefix(end);
  }
}

std::string Paragraph::text() const {
  std::string out;
  for (const auto& [name, value] : fields_) {
    out += name;
    out += value.empty() || value.starts_with('\n') ? ":" : ": ";
    out += value;
    out += '\n';
  }
  return out;
}

Result<std::vector<Paragraph>> parse_paragraphs(std::string_view text, bool comments) {
  std::vector<Paragraph> out;
  std::vector<std::pair<std::string, std::string>> fields;
  const auto flush = [&] {
    if (fields.empty()) return;
    Paragraph paragraph;
    for (auto& [name, value] : fields) paragraph.set(name, std::move(value));
    out.push_back(std::move(paragraph));
    fields.clear();
  };
  size_t number = 0;
  for (const std::string_view line : lines(text)) {
    ++number;
    if (comments && line.starts_with('#')) continue;
    if (trim(line).empty()) {
      flush();
      continue;
    }
    if (line[0] == ' ' || line[0] == '\t') {
      if (fields.empty())
        return Error(Code::invalid, "line {} continues a field, but none has begun", number);
      fields.back().second += '\n';
      fields.back().second += line;
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
      return Error(Code::invalid, "line {} is '{}', want 'Name: value'", number, printable(line));
    fields.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  flush();
  return out;
}

Result<Paragraph> parse_paragraph(std::string_view text) {
  std::vector<Paragraph> all = TRY(parse_paragraphs(text));
  if (all.size() != 1) return Error(Code::invalid, "{} paragraphs, want 1", all.size());
  return std::move(all[0]);
}

std::vector<std::vector<Relation>> parse_relations(std::string_view text) {
  std::vector<std::vector<Relation>> out;
  for (const std::string_view group : split(text, ',')) {
    std::vector<Relation> alternatives;
    for (const std::string_view one : split(group, '|')) {
      Relation relation = parse_relation(trim(one));
      if (!relation.name.empty()) alternatives.push_back(std::move(relation));
    }
    if (!alternatives.empty()) out.push_back(std::move(alternatives));
  }
  return out;
}

int compare_versions(std::string_view a, std::string_view b) {
  const Version x = parts_of(a);
  const Version y = parts_of(b);
  if (const int epoch = compare_part(x.epoch, y.epoch); epoch != 0) return epoch;
  if (const int upstream = compare_part(x.upstream, y.upstream); upstream != 0) return upstream;
  return compare_part(x.revision, y.revision);
}

}  // namespace kist::debian

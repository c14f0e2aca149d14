#include "container_cli/table.h"

#include <algorithm>

#include "base/text.h"
#include "format/template.h"

namespace kist::container_cli {
namespace {

const std::string* find(const Row& row, std::string_view field) {
  for (const auto& [name, value] : row)
    if (name == field) return &value;
  return nullptr;
}

void print_columns(const std::vector<std::vector<std::string>>& lines, cli::Terminal& terminal) {
  std::vector<size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i)
      text += i + 1 == line.size() ? line[i] : fmt::format("{:{}}   ", line[i], widths[i]);
    text.erase(text.find_last_not_of(' ') + 1);
    terminal.line(text);
  }
}

boost::json::object object_of(const Row& row) {
  boost::json::object out;
  for (const auto& [name, value] : row) out[name] = value;
  return out;
}

// In quotes a shell leaves these as they were typed.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == 't') out += '\t', ++i;
    else if (next == 'n') out += '\n', ++i;
    else out += text[i];
  }
  return out;
}

// What docker prints above a column of a template: its title in the usual list, or its name.
boost::json::object titles_of(const Row& row, const std::vector<Column>& columns) {
  boost::json::object out;
  for (const auto& [name, value] : row) {
    std::string title = name;
    for (char& c : title) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    for (const Column& column : columns)
      if (column.field == name) title = column.title;
    out[name] = title;
  }
  return out;
}

}  // namespace

Result<void> print_rows(const std::vector<Row>& rows, const std::vector<Column>& columns, std::string_view format,
                        cli::Terminal& terminal) {
  if (format == "json") format = "{{json .}}";
  std::vector<std::vector<std::string>> lines;
  if (format.empty() || format == "table") {
    lines.emplace_back();
    for (const Column& column : columns) lines[0].push_back(column.title);
    for (const Row& row : rows) {
      lines.emplace_back();
      for (const Column& column : columns) lines.back().push_back(*find(row, column.field));
    }
    print_columns(lines, terminal);
    return {};
  }
  const bool table = format.starts_with("table ");
  const auto shape = TRY(format::Template::parse(unescaped(table ? trim(format.substr(6)) : format)), "--format");
  const auto add = [&](const boost::json::object& values) -> Result<void> {
    const std::string text = TRY(shape.render(values), "--format");
    lines.emplace_back();
    for (const std::string_view cell : split(text, '\t')) lines.back().emplace_back(cell);
    return {};
  };
  if (table && !rows.empty()) TRY(add(titles_of(rows[0], columns)));
  for (const Row& row : rows) TRY(add(object_of(row)));
  if (table) {
    print_columns(lines, terminal);
    return {};
  }
  for (const auto& line : lines) terminal.line(fmt::format("{}", fmt::join(line, "\t")));
  return {};
}

Result<void> print_inspected(const boost::json::array& all, std::string_view format, cli::Terminal& terminal) {
  if (format.empty()) {
    terminal.line(boost::json::serialize(all));
    return {};
  }
  const auto shape = TRY(format::Template::parse(format == "json" ? "{{json .}}" : format), "--format");
  for (const boost::json::value& one : all) {
    const std::string line = TRY(shape.render(one), "--format");
    terminal.line(line);
  }
  return {};
}

std::string binary_bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return fmt::format("{:.4g}{}", value, kUnits[unit]);
}

}  // namespace kist::container_cli

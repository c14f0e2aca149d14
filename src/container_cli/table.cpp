#include "container_cli/table.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"

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

// Text with {{.Field}} and {{json .}}; the escapes that docker's users write in quotes are undone.
Result<std::string> fill(std::string_view format, const Row& row, bool titles) {
  std::string out;
  while (!format.empty()) {
    const size_t open = format.find("{{");
    for (size_t i = 0; i < std::min(open, format.size()); ++i) {
      const bool escape = format[i] == '\\' && i + 1 < format.size();
      if (escape && format[i + 1] == 't') out += '\t', ++i;
      else if (escape && format[i + 1] == 'n') out += '\n', ++i;
      else out += format[i];
    }
    if (open == format.npos) break;
    const size_t close = format.find("}}", open);
    if (close == format.npos) return Error(Code::invalid, "--format: '{{{{' without its '}}}}'");
    const std::string_view inside = trim(format.substr(open + 2, close - open - 2));
    const std::string_view field = inside.starts_with('.') ? inside.substr(1) : inside;
    const std::string* value = find(row, field);
    if (value == nullptr) {
      std::vector<std::string> names;
      for (const auto& known : row) names.push_back("." + known.first);
      return Error(Code::invalid, "--format: there is no '{}'", printable(inside))
          .hint(fmt::format("there are {}", fmt::join(names, ", ")));
    }
    out += titles ? to_lower(field) : *value;
    format.remove_prefix(close + 2);
  }
  return out;
}

}  // namespace

Result<void> print_rows(const std::vector<Row>& rows, const std::vector<Column>& columns, std::string_view format,
                        cli::Terminal& terminal) {
  if (format == "json" || format == "{{json .}}") {
    for (const Row& row : rows) {
      boost::json::object object;
      for (const auto& [name, value] : row) object[name] = value;
      terminal.line(boost::json::serialize(object));
    }
    return {};
  }
  const bool table = format.empty() || format.starts_with("table");
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
  const std::string_view body = table ? trim(format.substr(5)) : format;
  const auto add = [&](const Row& row, bool titles) -> Result<void> {
    const std::string text = TRY(fill(body, row, titles));
    lines.emplace_back();
    for (const std::string_view cell : split(text, '\t')) {
      lines.back().emplace_back(cell);
      if (titles) std::transform(cell.begin(), cell.end(), lines.back().back().begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      });
    }
    return {};
  };
  if (table && !columns.empty() && !rows.empty()) TRY(add(rows[0], true));
  for (const Row& row : rows) TRY(add(row, false));
  if (table) {
    print_columns(lines, terminal);
    return {};
  }
  for (const auto& line : lines) terminal.line(fmt::format("{}", fmt::join(line, "\t")));
  return {};
}

std::string about(int64_t span_ns) {
  const int64_t s = std::max<int64_t>(span_ns / 1'000'000'000, 0);
  if (s < 1) return "Less than a second";
  if (s == 1) return "1 second";
  if (s < 60) return fmt::format("{} seconds", s);
  if (s < 120) return "About a minute";
  if (s < 3600) return fmt::format("{} minutes", s / 60);
  if (s < 7200) return "About an hour";
  if (s < 48 * 3600) return fmt::format("{} hours", s / 3600);
  if (s < 14 * 86400) return fmt::format("{} days", s / 86400);
  if (s < 60 * 86400) return fmt::format("{} weeks", s / (7 * 86400));
  if (s < 730 * 86400) return fmt::format("{} months", s / (30 * 86400));
  return fmt::format("{} years", s / (365 * 86400));
}

std::string binary_bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return fmt::format("{:.4g}{}", value, kUnits[unit]);
}

}  // namespace kist::container_cli

#include "container_cli/table.h"

#include "base/text.h"

namespace kist::container_cli {

Result<void> print_listing(const format::Listing& listing, const std::vector<format::ListingRow>& rows,
                           std::string_view shape, cli::Terminal& terminal) {
  const std::string text = TRY(format::render_listing(listing, rows, shape));
  terminal.text(text);
  return {};
}

std::string labels_text(const std::map<std::string, std::string>& labels) {
  std::string out;
  for (const auto& [key, value] : labels) out += fmt::format("{}{}={}", out.empty() ? "" : ",", key, value);
  return out;
}

boost::json::object labels_object(const std::map<std::string, std::string>& labels) {
  boost::json::object out;
  for (const auto& [key, value] : labels) out[key] = value;
  return out;
}

Result<void> print_inspected(const boost::json::array& all, std::string_view format, cli::Terminal& terminal) {
  if (format.empty() || format == "json") {
    terminal.line(format.empty() ? format::indented(all) : boost::json::serialize(all));
    return {};
  }
  const auto shape = TRY(format::Template::parse(format), "--format");
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

#include <algorithm>

#include "format/template.h"

namespace kist::format {
namespace {

namespace json = boost::json;

void indent(std::string& out, const json::value& value, size_t depth) {
  const std::string inner((depth + 1) * 4, ' ');
  const std::string outer(depth * 4, ' ');
  if (value.is_array() && !value.get_array().empty()) {
    out += "[\n";
    for (size_t i = 0; i < value.get_array().size(); ++i) {
      out += (i == 0 ? "" : ",\n") + inner;
      indent(out, value.get_array()[i], depth + 1);
    }
    out += "\n" + outer + "]";
  } else if (value.is_object() && !value.get_object().empty()) {
    out += "{\n";
    bool is_first = true;
    for (const auto& field : value.get_object()) {
      out += (is_first ? "" : ",\n") + inner + json::serialize(json::value(field.key())) + ": ";
      is_first = false;
      indent(out, field.value(), depth + 1);
    }
    out += "\n" + outer + "}";
  } else {
    out += json::serialize(value);
  }
}

// {{json .}} lists the fields by name.
json::object sorted(const json::object& fields) {
  std::vector<json::object::const_iterator> order;
  for (auto it = fields.begin(); it != fields.end(); ++it) order.push_back(it);
  std::sort(order.begin(), order.end(), [](auto a, auto b) { return a->key() < b->key(); });
  json::object out;
  for (const auto it : order) out.emplace(it->key(), it->value());
  return out;
}

}  // namespace

std::string indented(const json::value& value) {
  std::string out;
  indent(out, value, 0);
  return out;
}

Result<std::string> render_listing(const Listing& listing, const std::vector<ListingRow>& rows, std::string_view shape) {
  Format format = read_format(shape.empty() ? "table" : shape);
  if (format.is_table && format.text.empty()) format.text = read_format(listing.usual).text;
  const Template line = TRY(Template::parse(format.text), "--format");
  std::string out;
  if (format.is_table && listing.has_heading) out = TRY(line.render_heading(listing.titles), "--format") + "\n";
  for (const ListingRow& row : rows) {
    const std::string text = TRY(line.render(sorted(row.fields), &row.labels), "--format");
    out += text + "\n";
  }
  return format.is_table ? align_columns(out) : out;
}

}  // namespace kist::format

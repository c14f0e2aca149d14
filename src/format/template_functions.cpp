#include <algorithm>
#include <map>

#include "base/text.h"
#include "format/template.h"
#include "format/template_nodes.h"

namespace kist::format {
namespace {

namespace json = boost::json;
using json::value;
using Arguments = std::vector<value>;

constexpr int kMaxWidth = 10'000;

Error bad(std::string_view function, std::string_view why) {
  return Error(Code::invalid, "template: {} {}", function, why);
}

std::string to_upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

value text_value(std::string_view text) { return json::string(text.data(), text.size()); }

bool is_number(const value& v) { return v.is_int64() || v.is_uint64() || v.is_double(); }

double number_of(const value& v) {
  if (v.is_int64()) return static_cast<double>(v.get_int64());
  if (v.is_uint64()) return static_cast<double>(v.get_uint64());
  return v.is_double() ? v.get_double() : 0;
}

// What lies beyond is the nearest that there is.
int64_t whole_of(const value& v) {
  constexpr double kEnd = 9223372036854775808.0;
  if (v.is_int64()) return v.get_int64();
  const double number = number_of(v);
  if (number >= kEnd) return INT64_MAX;
  return number >= -kEnd ? static_cast<int64_t>(number) : INT64_MIN;
}

// Empty when the two cannot be compared.
std::optional<int> compare(const value& a, const value& b) {
  if (is_number(a) && is_number(b)) return number_of(a) < number_of(b) ? -1 : number_of(a) > number_of(b);
  if (a.is_string() && b.is_string()) return a.get_string().compare(b.get_string());
  if (a == b) return 0;
  return std::nullopt;
}

Result<value> compare_call(const std::string& name, const Arguments& a) {
  if (a.size() < 2) return bad(name, "wants two values");
  if (name == "eq") {
    for (size_t i = 1; i < a.size(); ++i)
      if (compare(a[0], a[i]) == 0) return value(true);
    return value(false);
  }
  const auto order = compare(a[0], a[1]);
  if (name == "ne") return value(order != 0);
  if (!order) return bad(name, "cannot compare these two");
  if (name == "lt") return value(*order < 0);
  if (name == "le") return value(*order <= 0);
  if (name == "gt") return value(*order > 0);
  return value(*order >= 0);
}

Result<value> logic_call(const std::string& name, const Arguments& a) {
  if (a.empty()) return bad(name, "wants a value");
  if (name == "not") return value(!is_true(a[0]));
  for (const value& v : a)
    if (is_true(v) == (name == "or")) return v;
  return a.back();
}

Result<value> length(const Arguments& a) {
  if (a.size() != 1) return bad("len", "wants one value");
  if (a[0].is_string()) return value(a[0].get_string().size());
  if (a[0].is_array()) return value(a[0].get_array().size());
  if (a[0].is_object()) return value(a[0].get_object().size());
  if (a[0].is_null()) return value(0);
  return bad("len", "wants a text, a list or a map");
}

Result<value> index(const Arguments& a) {
  if (a.empty()) return bad("index", "wants a list or a map");
  value at = a[0];
  for (size_t i = 1; i < a.size(); ++i) {
    if (at.is_object() && a[i].is_string()) {
      const value* const found = at.get_object().if_contains(a[i].get_string());
      // The zero of what such a map holds: labels are texts.
      const json::object& map = at.get_object();
      const bool of_texts = std::all_of(map.begin(), map.end(), [](const auto& field) { return field.value().is_string(); });
      const value next = found != nullptr ? *found : of_texts ? value("") : value(nullptr);
      at = next;
    } else if (at.is_array() && is_number(a[i])) {
      const double wanted = number_of(a[i]);
      if (wanted < 0 || wanted >= static_cast<double>(at.get_array().size()))
        return bad("index", fmt::format("out of range: {} of {}", wanted, at.get_array().size()));
      const value next = at.get_array()[static_cast<size_t>(wanted)];
      at = next;
    } else if (at.is_null() && a[i].is_string()) {
      return value("");
    } else if (at.is_null()) {
      return bad("index", "out of range: there is no list");
    } else {
      return bad("index", "wants a list and a number, or a map and a text");
    }
  }
  return at;
}

Result<value> slice(const Arguments& a) {
  if (a.empty() || a.size() > 3) return bad("slice", "wants a value and at most two positions");
  const size_t size = a[0].is_string() ? a[0].get_string().size()
                      : a[0].is_array() ? a[0].get_array().size()
                                        : 0;
  const double from = a.size() > 1 ? number_of(a[1]) : 0;
  const double to = a.size() > 2 ? number_of(a[2]) : static_cast<double>(size);
  if (from < 0 || to < from || to > static_cast<double>(size)) return bad("slice", "out of range");
  const auto begin = static_cast<size_t>(from);
  const auto count = static_cast<size_t>(to - from);
  if (a[0].is_string()) return text_value(std::string_view(a[0].get_string()).substr(begin, count));
  json::array out;
  for (size_t i = begin; i < begin + count; ++i) out.push_back(a[0].get_array()[i]);
  return value(std::move(out));
}

Result<value> join(const Arguments& a) {
  if (a.size() != 2 || !a[1].is_string()) return bad("join", "wants a list and a separator");
  if (a[0].is_null()) return text_value("");
  if (!a[0].is_array()) return bad("join", "wants a list and a separator");
  std::string out;
  for (const value& item : a[0].get_array()) {
    if (&item != &a[0].get_array().front()) out += std::string_view(a[1].get_string());
    out += text_of(item);
  }
  return text_value(out);
}

Result<value> split_call(const Arguments& a) {
  if (a.size() != 2 || !a[0].is_string() || !a[1].is_string() || a[1].get_string().empty())
    return bad("split", "wants a text and a separator");
  std::string_view rest = a[0].get_string();
  const std::string_view by = a[1].get_string();
  json::array out;
  for (size_t at = rest.find(by); at != std::string_view::npos; at = rest.find(by)) {
    out.push_back(text_value(rest.substr(0, at)));
    rest.remove_prefix(at + by.size());
  }
  out.push_back(text_value(rest));
  return value(std::move(out));
}

std::string padded(std::string text, int width, bool left, char with) {
  const auto wanted = static_cast<size_t>(std::min(width, kMaxWidth));
  if (text.size() >= wanted) return text;
  const std::string fill(wanted - text.size(), with);
  return left ? text + fill : fill + text;
}

std::string quoted(const std::string& text) { return json::serialize(value(json::string(text))); }

std::string hex_of(std::string_view bytes, bool upper) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += upper ? fmt::format("{:02X}", byte) : fmt::format("{:02x}", byte);
  }
  return out;
}

// A character by its number, as Go has it: one that is none is U+FFFD.
std::string utf8_of(int64_t rune) {
  const bool is_none = rune < 0 || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000);
  const auto code = static_cast<uint32_t>(is_none ? 0xfffd : rune);
  const auto tail = [code](int shift) { return static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xc0 | code >> 6), tail(0)};
  if (code < 0x10000) return {static_cast<char>(0xe0 | code >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
}

// One verb of printf: flags, width and precision were read.
Result<std::string> print_one(char verb, const value& v, int precision) {
  switch (verb) {
    case 'v':
    case 's': {
      std::string text = text_of(v);
      if (precision >= 0 && text.size() > static_cast<size_t>(precision))
        text.resize(static_cast<size_t>(precision));
      return text;
    }
    case 'q': return quoted(text_of(v));
    case 't': return text_of(v);
    case 'd': return v.is_double() ? fmt::format("{:.0f}", number_of(v)) : text_of(v);
    case 'x':
    case 'X': {
      if (v.is_string()) return hex_of(v.get_string(), verb == 'X');
      const int64_t whole = whole_of(v);
      return verb == 'X' ? fmt::format("{:X}", whole) : fmt::format("{:x}", whole);
    }
    case 'b': return fmt::format("{:b}", whole_of(v));
    case 'c': return utf8_of(whole_of(v));
    case 'g': return fmt::format("{:g}", number_of(v));
    case 'e': return fmt::format("{:.{}e}", number_of(v), precision < 0 ? 6 : std::min(precision, 60));
    case 'o': return fmt::format("{:o}", whole_of(v));
    case 'f': return fmt::format("{:.{}f}", number_of(v), precision < 0 ? 6 : std::min(precision, 60));
    default: return bad("printf", fmt::format("does not know %{}", verb));
  }
}

Result<value> print_formatted(const Arguments& a) {
  if (a.empty() || !a[0].is_string()) return bad("printf", "wants a format");
  const std::string_view shape = a[0].get_string();
  std::string out;
  size_t next = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != '%') {
      out += shape[i];
      continue;
    }
    bool left = false;
    char with = ' ';
    int width = 0;
    int precision = -1;
    for (++i; i < shape.size() && std::string_view("-0+# ").find(shape[i]) != std::string_view::npos; ++i) {
      left = left || shape[i] == '-';
      if (shape[i] == '0') with = '0';
    }
    for (; i < shape.size() && shape[i] >= '0' && shape[i] <= '9'; ++i)
      width = std::min(kMaxWidth, width * 10 + (shape[i] - '0'));
    if (i < shape.size() && shape[i] == '.')
      for (precision = 0, ++i; i < shape.size() && shape[i] >= '0' && shape[i] <= '9'; ++i)
        precision = std::min(kMaxWidth, precision * 10 + (shape[i] - '0'));
    if (i >= shape.size()) return bad("printf", "ends within a '%'");
    if (shape[i] == '%') {
      out += '%';
      continue;
    }
    if (next >= a.size()) return bad("printf", "has more verbs than values");
    std::string text = TRY(print_one(shape[i], a[next++], precision));
    out += padded(std::move(text), width, left, left ? ' ' : with);
  }
  return text_value(out);
}

Result<value> print_plain(const std::string& name, const Arguments& a) {
  std::string out;
  for (size_t i = 0; i < a.size(); ++i) {
    // As fmt.Print: a blank between two values when neither is a text.
    const bool blank = i > 0 && (name == "println" || (!a[i].is_string() && !a[i - 1].is_string()));
    if (blank) out += ' ';
    out += text_of(a[i]);
  }
  if (name == "println") out += '\n';
  return text_value(out);
}

std::string title(std::string text) {
  bool at_start = true;
  for (char& c : text) {
    if (at_start && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    at_start = c == ' ' || c == '\t' || c == '-';
  }
  return text;
}

Result<value> text_call(const std::string& name, const Arguments& a) {
  if (a.empty()) return bad(name, "wants a value");
  const std::string text = text_of(a[0]);
  if (name == "json") return text_value(json::serialize(a[0]));
  if (name == "lower") return text_value(to_lower(text));
  if (name == "upper") return text_value(to_upper(text));
  if (name == "title") return text_value(title(text));
  if (name == "truncate") {
    if (a.size() != 2 || number_of(a[1]) < 0) return bad(name, "wants a text and a length");
    return text_value(std::string_view(text).substr(0, static_cast<size_t>(number_of(a[1]))));
  }
  if (a.size() != 3) return bad(name, "wants a text and two widths");
  const auto before = static_cast<size_t>(std::clamp(number_of(a[1]), 0.0, double{kMaxWidth}));
  const auto after = static_cast<size_t>(std::clamp(number_of(a[2]), 0.0, double{kMaxWidth}));
  return text_value(std::string(before, ' ') + text + std::string(after, ' '));
}

constexpr const char* kFunctions[] = {
    "json", "join", "lower", "upper", "title", "split", "print", "printf", "println",
    "len",  "index", "slice", "eq",   "ne",    "lt",    "le",    "gt",     "ge",
    "and",  "or",   "not",   "truncate", "pad"};

}  // namespace

bool is_function(const std::string& name) {
  return std::find(std::begin(kFunctions), std::end(kFunctions), name) != std::end(kFunctions);
}

bool is_text_function(const std::string& name) {
  constexpr std::string_view kText[] = {"json", "lower", "upper", "title", "truncate", "pad", "split", "join"};
  return std::find(std::begin(kText), std::end(kText), name) != std::end(kText);
}

bool is_true(const value& v) {
  if (v.is_null()) return false;
  if (v.is_bool()) return v.get_bool();
  if (v.is_string()) return !v.get_string().empty();
  if (v.is_array()) return !v.get_array().empty();
  if (v.is_object()) return !v.get_object().empty();
  return number_of(v) != 0;
}

Result<value> call(const std::string& name, const Arguments& a) {
  if (name == "join") return join(a);
  if (name == "split") return split_call(a);
  if (name == "printf") return print_formatted(a);
  if (name == "print" || name == "println") return print_plain(name, a);
  if (name == "len") return length(a);
  if (name == "index") return index(a);
  if (name == "slice") return slice(a);
  if (name == "and" || name == "or" || name == "not") return logic_call(name, a);
  if (name.size() == 2) return compare_call(name, a);
  return text_call(name, a);
}

}  // namespace kist::format

#include "toml/toml.h"

#include <algorithm>

// A hostile file must not make the parser recurse far; ours checks the depth again, more strictly.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_MAX_NESTED_VALUES 64
#define TOML_ENABLE_FORMATTERS 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#if __has_include(<toml++/impl/preprocessor.hpp>)
#include <toml++/impl/preprocessor.hpp>
#else
#include <toml++/impl/preprocessor.h>
#endif
// It tells the compiler that some things cannot be which a hostile file can very well bring about
// ("[" before a newline, a letter with an accent outside of quotes). Told nothing, it goes on to a
// proper error. Fuzzed so, under sanitizers.
#undef TOML_ASSERT
#undef TOML_ASSERT_ASSUME
#undef TOML_ASSUME
#undef TOML_UNREACHABLE
#define TOML_ASSERT(expression) static_assert(true)
#define TOML_ASSERT_ASSUME(expression) static_assert(true)
#define TOML_ASSUME(...) static_assert(true)
#define TOML_UNREACHABLE return {}
#if __has_include(<toml++/impl/unicode.hpp>)
#include <toml++/impl/forward_declarations.hpp>
#include <toml++/impl/unicode.hpp>
#else
#include <toml++/impl/forward_declarations.h>
#include <toml++/impl/unicode.h>
#endif
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE __builtin_unreachable()
#include <toml++/toml.h>
#pragma GCC diagnostic pop

namespace kist::toml {
namespace {

// The parser counts nested values, but not the parts of dotted keys: `a.a.a.…` with a million parts
// makes a million tables inside each other, whose destruction overflows the stack. So the dots are
// counted before. Knows just enough of TOML to pass over strings and comments; on malformed text it
// may stop early or late, which the parser then reports.
class DotCounter {
 public:
  DotCounter(std::string_view text, size_t limit) : text_(text), limit_(limit) {}

  // The offset where a key has more parts than the limit.
  std::optional<size_t> find() {
    size_t dots = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '=' || c == '\n' || c == ',' || c == '{' || c == '[') dots = 0;
      if (c == '.' && ++dots > limit_) return at_;
      ++at_;
    }
    return std::nullopt;
  }

 private:
  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool multi_line = text_.substr(at_, 3) == three;
    at_ += multi_line ? 3 : 1;
    while (at_ < text_.size()) {
      if (multi_line ? text_.substr(at_, 3) == three : text_[at_] == quote) {
        at_ += multi_line ? 3 : 1;
        return;
      }
      if (!multi_line && text_[at_] == '\n') return;
      at_ += text_[at_] == '\\' && quote == '"' ? 2 : 1;
    }
  }

  std::string_view text_;
  size_t limit_;
  size_t at_ = 0;
};

Position position_of(const ::toml::source_region& region) {
  return {.line = region.begin.line, .column = region.begin.column};
}

std::string date_text(const ::toml::date& date) {
  return fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day);
}

std::string time_text(const ::toml::time& time) {
  std::string text = fmt::format("{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
  if (time.nanosecond == 0) return text;
  text += fmt::format(".{:09}", time.nanosecond);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

std::string date_time_text(const ::toml::date_time& value) {
  std::string text = date_text(value.date) + "T" + time_text(value.time);
  if (!value.offset) return text;
  const int minutes = value.offset->minutes;
  if (minutes == 0) return text + "Z";
  const int absolute = std::abs(minutes);
  return text + fmt::format("{}{:02}:{:02}", minutes < 0 ? '-' : '+', absolute / 60, absolute % 60);
}

// From the library's nodes to ours, counting.
class Converter {
 public:
  Converter(std::string_view file, const Limits& limits) : file_(file), limits_(limits) {}

  Result<Value> convert(const ::toml::node& node, size_t depth) {
    const Position position = position_of(node.source());
    if (depth > limits_.depth) {
      return Error(Code::invalid, "{}nested more than {} deep", at(file_, position), limits_.depth);
    }
    if (++values_ > limits_.values) {
      return Error(Code::invalid, "{}more than {} values", at(file_, position), limits_.values);
    }
    if (const auto* table = node.as_table()) return convert_table(*table, depth);
    if (const auto* array = node.as_array()) {
      Array out;
      out.reserve(array->size());
      for (const ::toml::node& element : *array) {
        Value value = TRY(convert(element, depth + 1));
        out.push_back(std::move(value));
      }
      return Value(std::move(out), position);
    }
    return scalar(node, position);
  }

 private:
  Result<Value> convert_table(const ::toml::table& table, size_t depth) {
    std::vector<std::pair<const ::toml::key*, const ::toml::node*>> sorted;
    for (const auto& [key, value] : table) sorted.emplace_back(&key, &value);
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      const auto& x = a.first->source().begin;
      const auto& y = b.first->source().begin;
      return std::tie(x.line, x.column) < std::tie(y.line, y.column);
    });
    Table out;
    for (const auto& [key, node] : sorted) {
      Value value = TRY(convert(*node, depth + 1));
      out.add(std::string(key->str()), std::move(value));
    }
    return Value(std::move(out), position_of(table.source()));
  }

  static Value scalar(const ::toml::node& node, Position position) {
    if (const auto* text = node.as_string()) return Value(text->get(), position);
    if (const auto* number = node.as_integer()) return Value(number->get(), position);
    if (const auto* number = node.as_floating_point()) return Value(number->get(), position);
    if (const auto* truth = node.as_boolean()) return Value(truth->get(), position);
    if (const auto* date = node.as_date()) return Value(DateTime{date_text(date->get())}, position);
    if (const auto* time = node.as_time()) return Value(DateTime{time_text(time->get())}, position);
    return Value(DateTime{date_time_text(node.as_date_time()->get())}, position);
  }

  std::string_view file_;
  const Limits& limits_;
  size_t values_ = 0;
};

Position position_at(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t start = before.rfind('\n');
  const size_t column = start == std::string_view::npos ? offset + 1 : offset - start;
  return {.line = static_cast<uint32_t>(line), .column = static_cast<uint32_t>(column)};
}

std::string_view kind_of(const Value::Data& data) {
  constexpr std::string_view kNames[] = {"a string",    "an integer", "a float", "a boolean",
                                         "a date-time", "an array",   "a table"};
  return kNames[data.index()];
}

}  // namespace

const Value* Table::find(std::string_view key) const {
  for (const auto& [name, value] : entries_)
    if (name == key) return &value;
  return nullptr;
}

void Table::add(std::string key, Value value) {
  entries_.emplace_back(std::move(key), std::move(value));
}

std::string_view Value::kind() const { return kind_of(data_); }

std::string at(std::string_view file, Position position) {
  if (position.line == 0) return fmt::format("{}: ", printable(file));
  return fmt::format("{}:{}:{}: ", printable(file), position.line, position.column);
}

Result<Value> parse(std::string_view text, std::string_view file, const Limits& limits) {
  if (text.size() > limits.bytes) {
    return Error(Code::invalid, "{}: {} is more than the {} that a TOML file may have",
                 printable(file), human_bytes(text.size()), human_bytes(limits.bytes));
  }
  // TOML allows none anywhere; some versions of the library stumble over those in keys.
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7F;
  };
  if (const auto bad = std::find_if(text.begin(), text.end(), is_control); bad != text.end()) {
    return Error(Code::invalid, "{}not valid TOML: the control character {}",
                 at(file, position_at(text, static_cast<size_t>(bad - text.begin()))),
                 printable(std::string_view(&*bad, 1)));
  }
  if (const auto dot = DotCounter(text, limits.depth).find()) {
    return Error(Code::invalid, "{}a key with more than {} parts",
                 at(file, position_at(text, *dot)), limits.depth);
  }
  ::toml::parse_result parsed = ::toml::parse(text);
  if (!parsed) {
    const ::toml::parse_error& error = parsed.error();
    std::string_view what = error.description();
    if (what.find("TOML_MAX_NESTED_VALUES") != std::string_view::npos) {
      return Error(Code::invalid, "{}nested more than {} deep",
                   at(file, position_of(error.source())), TOML_MAX_NESTED_VALUES);
    }
    constexpr std::string_view kNoise = "Error while parsing ";
    if (what.starts_with(kNoise)) what.remove_prefix(kNoise.size());
    return Error(Code::invalid, "{}not valid TOML: {}", at(file, position_of(error.source())),
                 printable(what));
  }
  return Converter(file, limits).convert(parsed.table(), 0);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7F)
      out += fmt::format("\\u{:04X}", byte);
    else
      out += c;
  }
  return out + "\"";
}

std::string key(std::string_view text) {
  constexpr std::string_view kBare =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  const bool bare = !text.empty() && text.find_first_not_of(kBare) == std::string_view::npos;
  return bare ? std::string(text) : quoted(text);
}

std::string one_line(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ", ";
    out += quoted(text);
  }
  return out + "]";
}

std::string one_line(const Value& value) {
  if (const auto* text = value.as<std::string>()) return quoted(*text);
  if (const auto* number = value.as<int64_t>()) return fmt::format("{}", *number);
  if (const auto* truth = value.as<bool>()) return *truth ? "true" : "false";
  if (const auto* date = value.as<DateTime>()) return date->text;
  if (const auto* number = value.as<double>()) {
    const std::string text = fmt::format("{}", *number);
    // TOML tells floats from integers by their looks.
    return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
  }
  std::string out;
  if (const auto* array = value.as<Array>()) {
    for (const Value& element : *array) out += (out.empty() ? "" : ", ") + one_line(element);
    return "[" + out + "]";
  }
  for (const auto& [name, element] : value.as<Table>()->entries())
    out += (out.empty() ? "" : ", ") + key(name) + " = " + one_line(element);
  return out.empty() ? "{}" : "{ " + out + " }";
}

}  // namespace kist::toml

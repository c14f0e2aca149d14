// TOML: reading it into values that know where they stood, and writing it the same way every time.
// The library behind it is seen by toml.cpp alone.
//
//   const toml::Value root = TRY(toml::parse(text, "kist.toml"));
//   toml::Fields fields = TRY(toml::Fields::of(root, "kist.toml"));
//   const std::string name = TRY(fields.string("name"));        // "kist.toml:3:8: 'name' is …"
//   TRY(fields.no_others());
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/text.h"

namespace kist::toml {

struct Position {
  uint32_t line = 0, column = 0;  // From 1; 0: not known.
};

class Value;
using Array = std::vector<Value>;

/// Keys in the order in which they were written.
class Table {
 public:
  const Value* find(std::string_view key) const;
  const std::vector<std::pair<std::string, Value>>& entries() const { return entries_; }
  /// Keeps the order of calls. The key must be new.
  void add(std::string key, Value value);
  bool empty() const;

 private:
  std::vector<std::pair<std::string, Value>> entries_;
};

/// A date, a time or both, as RFC 3339 text.
struct DateTime {
  std::string text;
};

class Value {
 public:
  using Data = std::variant<std::string, int64_t, double, bool, DateTime, Array, Table>;
  // NOLINTNEXTLINE(google-explicit-constructor): values are written as literals.
  Value(Data data, Position position = {}) : data_(std::move(data)), position_(position) {}

  /// Null when it is something else.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&data_);
  }
  Position position() const { return position_; }
  /// "a string", "an integer" …: for messages.
  std::string_view kind() const;

 private:
  Data data_;
  Position position_;
};

// Here, where Value is complete: clang looks into the pair at once.
inline bool Table::empty() const { return entries_.empty(); }

struct Limits {
  size_t bytes = 64u << 20;
  size_t depth = 32;         // Of tables and arrays in each other.
  size_t values = 4u << 20;  // In all.
};

/// The root table. Errors: invalid ("FILE:LINE:COLUMN: what", too large, too deep).
Result<Value> parse(std::string_view text, std::string_view file, const Limits& limits = {});

/// Takes the fields of one table out, with errors that say file, line, column, got and wanted.
class Fields {
 public:
  /// `path` names the table in messages: "environment.gpu"; empty for the root.
  static Result<Fields> of(const Value& value, std::string_view file, std::string path = {});

  bool has(std::string_view key) const { return table_->find(key) != nullptr; }
  const Table& table() const { return *table_; }
  const std::string& path() const { return path_; }

  // Each fails with invalid when the field has another type; those without "optional" also when it
  // is missing.
  Result<std::string> string(std::string_view key);
  Result<std::string> optional_string(std::string_view key);  // Empty when missing.
  Result<std::string> optional_date_time(std::string_view key);
  Result<std::optional<uint64_t>> optional_size(std::string_view key);
  Result<std::optional<int64_t>> optional_integer(std::string_view key);
  Result<std::optional<bool>> optional_boolean(std::string_view key);
  Result<std::vector<std::string>> optional_strings(std::string_view key);
  Result<std::optional<Fields>> optional_table(std::string_view key);
  Result<std::vector<Fields>> optional_tables(std::string_view key);
  /// Names of a table whose values are strings: [run.env].
  Result<std::vector<std::pair<std::string, std::string>>> optional_string_table(
      std::string_view key);
  const Value* optional_value(std::string_view key);

  /// Fails on the first key that none of the calls above asked for, with the nearest that was.
  Result<void> no_others() const;

  /// "FILE:LINE:COLUMN: " of the field, or of the table when it has no such field.
  std::string where(std::string_view key) const;
  /// "environment.gpu.python".
  std::string name(std::string_view key) const;
  template <class... A>
  Error error(std::string_view key, fmt::format_string<A...> message, A&&... args) const {
    return Error(Code::invalid, "{}{}", where(key), fmt::format(message, std::forward<A>(args)...));
  }

 private:
  Fields(const Table& table, Position position, std::string file, std::string path)
      : table_(&table), position_(position), file_(std::move(file)), path_(std::move(path)) {}
  const Value* ask(std::string_view key);
  Error wrong_kind(std::string_view key, const Value& got, std::string_view wanted) const;

  const Table* table_;
  Position position_;
  std::string file_, path_;
  std::vector<std::string> asked_;
};

/// "FILE:3:8: ", for messages about a value.
std::string at(std::string_view file, Position position);
/// A basic string, in quotes. Control characters are escaped; `text` should be UTF-8.
std::string quoted(std::string_view text);
/// Bare where TOML allows it, else quoted.
std::string key(std::string_view text);
/// On one line: inline tables, arrays with ", ".
std::string one_line(const Value& value);
/// `["a", "b"]`.
std::string one_line(const std::vector<std::string>& texts);

}  // namespace kist::toml

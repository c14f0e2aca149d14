// Fields of toml.h: typed access with errors that say where.
#include <algorithm>

#include "toml/toml.h"

namespace kist::toml {

Result<Fields> Fields::of(const Value& value, std::string_view file, std::string path) {
  const Table* table = value.as<Table>();
  if (table == nullptr) {
    return Error(Code::invalid, "{}'{}' is {}, want a table", at(file, value.position()),
                 printable(path), value.kind());
  }
  return Fields(*table, value.position(), std::string(file), std::move(path));
}

const Value* Fields::ask(std::string_view key) {
  if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) asked_.emplace_back(key);
  return table_->find(key);
}

std::string Fields::where(std::string_view key) const {
  const Value* value = table_->find(key);
  return at(file_, value != nullptr ? value->position() : position_);
}

std::string Fields::name(std::string_view key) const {
  return printable(path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

Error Fields::wrong_kind(std::string_view key, const Value& got, std::string_view wanted) const {
  return Error(Code::invalid, "{}'{}' is {}, want {}", at(file_, got.position()), name(key),
               got.kind(), wanted);
}

const Value* Fields::optional_value(std::string_view key) { return ask(key); }

Result<std::string> Fields::string(std::string_view key) {
  const Value* value = ask(key);
  if (value == nullptr) return error(key, "'{}' is missing", name(key));
  const auto* text = value->as<std::string>();
  if (text == nullptr) return wrong_kind(key, *value, "a string");
  if (text->find('\0') != std::string::npos)
    return error(key, "'{}' has a NUL character", name(key));
  return *text;
}

Result<std::string> Fields::optional_string(std::string_view key) {
  if (ask(key) == nullptr) return std::string();
  return string(key);
}

Result<std::string> Fields::optional_date_time(std::string_view key) {
  const Value* value = ask(key);
  if (value == nullptr) return std::string();
  if (const auto* date = value->as<DateTime>()) return date->text;
  return wrong_kind(key, *value, "a date-time");
}

Result<std::optional<int64_t>> Fields::optional_integer(std::string_view key) {
  const Value* value = ask(key);
  if (value == nullptr) return std::optional<int64_t>();
  if (const auto* number = value->as<int64_t>()) return std::optional<int64_t>(*number);
  return wrong_kind(key, *value, "an integer");
}

Result<std::optional<uint64_t>> Fields::optional_size(std::string_view key) {
  const std::optional<int64_t> number = TRY(optional_integer(key));
  if (!number) return std::optional<uint64_t>();
  if (*number < 0) return error(key, "'{}' is {}, want at least 0", name(key), *number);
  return std::optional<uint64_t>(static_cast<uint64_t>(*number));
}

Result<std::optional<bool>> Fields::optional_boolean(std::string_view key) {
  const Value* value = ask(key);
  if (value == nullptr) return std::optional<bool>();
  if (const auto* truth = value->as<bool>()) return std::optional<bool>(*truth);
  return wrong_kind(key, *value, "true or false");
}

Result<std::vector<std::string>> Fields::optional_strings(std::string_view key) {
  std::vector<std::string> out;
  const Value* value = ask(key);
  if (value == nullptr) return out;
  const auto* array = value->as<Array>();
  if (array == nullptr) return wrong_kind(key, *value, "an array of strings");
  for (const Value& element : *array) {
    const auto* text = element.as<std::string>();
    if (text == nullptr || text->find('\0') != std::string::npos) {
      return Error(Code::invalid, "{}'{}' has {}, want strings only", at(file_, element.position()),
                   name(key), text == nullptr ? element.kind() : "a NUL character");
    }
    out.push_back(*text);
  }
  return out;
}

Result<std::optional<Fields>> Fields::optional_table(std::string_view key) {
  const Value* value = ask(key);
  if (value == nullptr) return std::optional<Fields>();
  if (value->as<Table>() == nullptr) return wrong_kind(key, *value, "a table");
  Fields fields = TRY(of(*value, file_, name(key)));
  return std::optional<Fields>(std::move(fields));
}

Result<std::vector<Fields>> Fields::optional_tables(std::string_view key) {
  std::vector<Fields> out;
  const Value* value = ask(key);
  if (value == nullptr) return out;
  const auto* array = value->as<Array>();
  if (array == nullptr) return wrong_kind(key, *value, "an array of tables");
  for (size_t i = 0; i < array->size(); ++i) {
    Fields fields = TRY(of((*array)[i], file_, fmt::format("{}[{}]", name(key), i)));
    out.push_back(std::move(fields));
  }
  return out;
}

Result<std::vector<std::pair<std::string, std::string>>> Fields::optional_string_table(
    std::string_view key) {
  std::vector<std::pair<std::string, std::string>> out;
  std::optional<Fields> fields = TRY(optional_table(key));
  if (!fields) return out;
  for (const auto& [entry, value] : fields->table().entries()) {
    const std::string text = TRY(fields->string(entry));
    out.emplace_back(entry, text);
  }
  return out;
}

Result<void> Fields::no_others() const {
  for (const auto& [key, value] : table_->entries()) {
    if (std::find(asked_.begin(), asked_.end(), key) != asked_.end()) continue;
    Error unknown(Code::invalid, "{}unknown key '{}'", at(file_, value.position()), name(key));
    if (const auto near = nearest(key, asked_))
      return std::move(unknown).hint(fmt::format("write `{}`", *near));
    return unknown;
  }
  return {};
}

}  // namespace kist::toml

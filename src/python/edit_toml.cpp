// Lists of strings in TOML, edited in place. The parser says where a list starts; what is between
// its brackets is scanned here; and whatever was written is read again before it is given back.
#include <algorithm>

#include "base/text.h"
#include "python/edit.h"
#include "toml/toml.h"

namespace kist::python {
namespace {

struct Span {
  size_t begin = 0, end = 0;
};

struct Array {
  size_t open = 0, close = 0;  // Of the brackets.
  std::vector<Span> items;     // With their quotes.
  bool comma_at_end = false;
};

// The parser's columns count characters, not bytes.
size_t offset_of(std::string_view text, toml::Position position) {
  size_t at = 0;
  for (uint32_t line = 1; line < position.line; ++line) {
    at = text.find('\n', at);
    if (at == std::string_view::npos) return text.size();
    ++at;
  }
  const auto is_continuation = [&](size_t i) {
    return (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
  };
  for (uint32_t column = 1; column < position.column && at < text.size(); ++column) {
    ++at;
    while (at < text.size() && is_continuation(at)) ++at;
  }
  return at;
}

// Behind a string that starts at `at`; npos when it does not end.
size_t skip_string(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const std::string_view end =
      text.substr(at, 3) == three ? std::string_view(three) : text.substr(at, 1);
  for (at += end.size(); at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"')
      ++at;
    else if (text.substr(at, end.size()) == end)
      return at + end.size();
  }
  return std::string_view::npos;
}

// Empty: not a list of strings that we can follow.
std::optional<Array> scan(std::string_view text, size_t open) {
  if (open >= text.size() || text[open] != '[') return std::nullopt;
  Array out{.open = open};
  for (size_t at = open + 1; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      const size_t end = skip_string(text, at);
      if (end == std::string_view::npos) return std::nullopt;
      out.items.push_back({at, end});
      out.comma_at_end = false;
      at = end;
    } else if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else if (c == ']') {
      out.close = at;
      return out;
    } else if (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      out.comma_at_end = out.comma_at_end || c == ',';
      ++at;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

size_t line_begin(std::string_view text, size_t at) {
  const size_t newline = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  return newline == std::string_view::npos ? 0 : newline + 1;
}

// Before the line's "\n" or "\r\n".
size_t line_end(std::string_view text, size_t at) {
  const size_t end = std::min(text.find('\n', at), text.size());
  return end > at && end < text.size() && text[end - 1] == '\r' ? end - 1 : end;
}

std::string_view newline_of(std::string_view text) {
  return text.find("\r\n") != std::string_view::npos ? "\r\n" : "\n";
}

size_t after_comma(std::string_view text, const Span& item) {
  const size_t at = text.find_first_not_of(" \t\r\n", item.end);
  return at < text.size() && text[at] == ',' ? at + 1 : item.end;
}

void append_item(std::string& text, const Array& array, std::string_view item) {
  const std::string quoted = toml::quoted(item);
  const bool several_lines = text.find('\n', array.open) < array.close;
  if (array.items.empty() && !several_lines) {
    text.replace(array.open, array.close + 1 - array.open, "[" + quoted + "]");
    return;
  }
  const std::string newline(newline_of(text));
  if (array.items.empty()) {
    text.insert(line_begin(text, array.close), fmt::format("    {},{}", quoted, newline));
    return;
  }
  const Span last = array.items.back();
  const size_t begin = line_begin(text, last.begin);
  if (text.find('\n', last.end) > array.close) {  // The bracket follows on the same line.
    const size_t at = array.comma_at_end ? after_comma(text, last) : last.end;
    text.insert(at, array.comma_at_end ? fmt::format(" {},", quoted) : fmt::format(", {}", quoted));
    return;
  }
  const std::string line = text.substr(begin, last.begin - begin);
  const std::string indent = line.substr(0, line.find_first_not_of(" \t"));
  const size_t tail = array.comma_at_end ? after_comma(text, last) : last.end;
  text.insert(line_end(text, tail),
              fmt::format("{}{}{}{}", newline, indent, quoted, array.comma_at_end ? "," : ""));
  if (!array.comma_at_end) text.insert(last.end, ",");
}

void erase_item(std::string& text, const Array& array, size_t index) {
  const Span item = array.items[index];
  const size_t begin = line_begin(text, item.begin);
  const size_t behind = after_comma(text, item);
  const size_t end = text.find_first_not_of(" \t\r", behind);
  const bool first_on_line = trim(std::string_view(text).substr(begin, item.begin - begin)).empty();
  const bool last_on_line = end != std::string::npos && (text[end] == '\n' || text[end] == '#');
  if (first_on_line && last_on_line) {
    const size_t newline = text.find('\n', end);
    text.erase(begin, newline == std::string::npos ? std::string::npos : newline + 1 - begin);
    return;
  }
  if (behind == item.end && index > 0) {  // The last, without a comma of its own.
    const Span before = array.items[index - 1];
    const std::string between = text.substr(before.end, item.begin - before.end);
    if (between.find_first_of("#\n") == std::string::npos) {
      text.erase(before.end, item.end - before.end);
      return;
    }
  }
  const size_t next = std::min(text.find_first_not_of(" \t", behind), text.size());
  text.erase(item.begin, (index + 1 < array.items.size() ? next : behind) - item.begin);
}

Result<const toml::Table*> find_table(const toml::Value& root, const TomlList& list,
                                      std::string_view file, toml::Position& position) {
  const toml::Table* table = root.as<toml::Table>();
  for (const std::string& name : list.table) {
    const toml::Value* value = table->find(name);
    if (value == nullptr) return static_cast<const toml::Table*>(nullptr);
    table = value->as<toml::Table>();
    position = value->position();
    if (table == nullptr)
      return Error(Code::invalid, "{}'{}' is {}, want a table", toml::at(file, position), name,
                   value->kind());
  }
  return table;
}

struct Found {
  std::vector<std::string> items;
  std::optional<size_t> array;   // Where its bracket stands.
  std::optional<size_t> insert;  // Where a new line may go in its table.
};

Result<Found> find_list(std::string_view text, std::string_view file, const TomlList& list) {
  const toml::Value root = TRY(toml::parse(text, file));
  toml::Position position;
  const toml::Table* table = TRY(find_table(root, list, file, position));
  Found found;
  if (table == nullptr) return found;
  if (const toml::Value* value = table->find(list.key)) {
    const auto* array = value->as<toml::Array>();
    const toml::Position where = value->position();
    if (array == nullptr)
      return Error(Code::invalid, "{}'{}' is {}, want a list", toml::at(file, where), list.key,
                   value->kind());
    for (const toml::Value& item : *array) {
      const auto* string = item.as<std::string>();
      if (string == nullptr)
        return Error(Code::invalid, "{}an item of '{}' is {}, want a string",
                     toml::at(file, item.position()), list.key, item.kind());
      found.items.push_back(*string);
    }
    found.array = offset_of(text, where);
    return found;
  }
  size_t behind = offset_of(text, position);
  if (behind >= text.size() || text[behind] != '[') return found;
  for (const std::string& key : list.after) {
    const toml::Value* value = table->find(key);
    if (value != nullptr && value->position().line != 0)
      behind = std::max(behind, offset_of(text, value->position()));
  }
  found.insert = std::min(text.find('\n', behind), text.size());
  return found;
}

Error not_edited(std::string_view file, const TomlList& list, std::string_view what) {
  return Error(Code::unsupported, "{}: {} is not written in a way that kist edits", printable(file),
               list.shown())
      .hint(fmt::format("{} yourself, then `kist lock`", what));
}

void insert_list(std::string& text, const TomlList& list, const Found& found,
                 std::string_view item) {
  const std::string newline(newline_of(text));
  const std::string line = fmt::format("{} = [{}]", toml::key(list.key), toml::quoted(item));
  if (found.insert) {
    text.insert(line_end(text, line_begin(text, *found.insert)), newline + line);
    return;
  }
  std::string header;
  for (const std::string& name : list.table)
    header += (header.empty() ? "" : ".") + toml::key(name);
  if (!text.empty() && !text.ends_with('\n')) text += newline;
  if (!text.empty()) text += newline;
  text += fmt::format("[{}]{}{}{}", header, newline, line, newline);
}

}  // namespace

std::string TomlList::shown() const { return fmt::format("[{}] {}", fmt::join(table, "."), key); }

IsItem names_package(std::string name) {
  return [name = std::move(name)](std::string_view item) {
    const auto parsed = parse_requirement(item);
    return parsed && parsed->name == name;
  };
}

Result<std::vector<std::string>> items_of_toml_list(std::string_view text, std::string_view file,
                                                    const TomlList& list) {
  Found found = TRY(find_list(text, file, list));
  return std::move(found.items);
}

Result<std::string> add_to_toml_list(std::string_view text, std::string_view file,
                                     const TomlList& list, std::string_view item,
                                     const IsItem& is_item) {
  const Found found = TRY(find_list(text, file, list));
  std::string out(text);
  std::vector<std::string> wanted = found.items;
  const auto same = std::find_if(wanted.begin(), wanted.end(), is_item);
  const size_t index = static_cast<size_t>(same - wanted.begin());
  if (same != wanted.end() && *same == item) return out;
  const std::string by_hand = fmt::format("add {} to {}", toml::quoted(item), list.shown());
  if (found.array) {
    const auto array = scan(text, *found.array);
    if (!array || array->items.size() != found.items.size()) return not_edited(file, list, by_hand);
    if (same != wanted.end())
      out.replace(array->items[index].begin, array->items[index].end - array->items[index].begin,
                  toml::quoted(item));
    else
      append_item(out, *array, item);
  } else {
    insert_list(out, list, found, item);
  }
  if (same != wanted.end())
    *same = item;
  else
    wanted.emplace_back(item);
  const auto now = items_of_toml_list(out, file, list);
  if (!now || *now != wanted) return not_edited(file, list, by_hand);
  return out;
}

Result<std::optional<std::string>> remove_from_toml_list(std::string_view text,
                                                         std::string_view file,
                                                         const TomlList& list,
                                                         const IsItem& is_item) {
  const Found found = TRY(find_list(text, file, list));
  std::vector<std::string> wanted = found.items;
  std::erase_if(wanted, is_item);
  if (wanted.size() == found.items.size()) return std::optional<std::string>();
  std::string out(text);
  const std::string by_hand = fmt::format("remove it from {}", list.shown());
  for (size_t left = found.items.size(); left-- > 0;) {
    if (!is_item(found.items[left])) continue;
    const auto array = scan(out, *found.array);
    if (!array || left >= array->items.size()) return not_edited(file, list, by_hand);
    erase_item(out, *array, left);
  }
  const auto now = items_of_toml_list(out, file, list);
  if (!now || *now != wanted) return not_edited(file, list, by_hand);
  return std::optional(std::move(out));
}

}  // namespace kist::python

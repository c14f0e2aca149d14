// Small changes to files that people write: a requirement more or less, and every other byte as it
// was. Pure: text in, text out.
//
//   const std::string after = TRY(add_to_requirements(text,
//   parse_requirement("polars>=1").value()));
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "python/requirements.h"

namespace kist::python {

/// requirements.txt with this requirement in it: a new last line; or, when its name stands there
/// already, that line with its comment kept (a bare name never replaces one with a version).
/// Errors: invalid (not UTF-8; the name stands there several times).
Result<std::string> add_to_requirements(std::string_view text, const Requirement& requirement);
/// Without the lines that ask for `name` (normalized). Empty: none did. Errors: invalid (not
/// UTF-8).
Result<std::optional<std::string>> remove_from_requirements(std::string_view text,
                                                            std::string_view name);

/// apt.txt: a Debian package a line. Empty: it was not there.
std::optional<std::string> remove_from_apt_file(std::string_view text, std::string_view name);

/// A list of strings in a TOML file: {{"project"}, "dependencies"}, {{"environment"}, "system"}.
struct TomlList {
  std::vector<std::string> table;
  std::string key;
  /// A new list comes after these of the table's keys, otherwise first in it.
  std::vector<std::string> after = {};
  std::string shown() const;  // "[project] dependencies"
};
/// Whether a string of the list is the one that is meant.
using IsItem = std::function<bool(std::string_view item)>;

/// With `item` in the list: in place of the one that `is_item` finds, else after the last. List and
/// table are made when missing. Layout and comments stay.
/// Errors: invalid (not TOML; not a list of strings), unsupported (written in a way that is not
/// edited: inline tables, dotted keys).
Result<std::string> add_to_toml_list(std::string_view text, std::string_view file,
                                     const TomlList& list, std::string_view item,
                                     const IsItem& is_item);
/// Without the strings that `is_item` finds. Empty: there was none. Errors: as above.
Result<std::optional<std::string>> remove_from_toml_list(std::string_view text,
                                                         std::string_view file,
                                                         const TomlList& list,
                                                         const IsItem& is_item);
/// What the list holds; empty when there is none. Errors: invalid.
Result<std::vector<std::string>> items_of_toml_list(std::string_view text, std::string_view file,
                                                    const TomlList& list);

/// For requirements in TOML lists: matches by normalized name.
IsItem names_package(std::string name);

}  // namespace kist::python

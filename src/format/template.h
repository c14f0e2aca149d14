// What `--format` takes: the part of Go's templates that docker's and podman's users write, over JSON
// values. Pure.
//
//   const auto shape = TRY(format::Template::parse("{{.Id}} {{join .Names \", \"}}"));
//   const std::string line = TRY(shape.render(value));
//
// Known: fields and chains (.A.B, $, variables), pipelines, parentheses, literals, trimming ({{- -}}),
// comments, if/else if/else, range (with index or key, else), with; json join lower upper title split
// print printf println len index slice eq ne lt le gt ge and or not truncate pad table.
#pragma once

#include <boost/json.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::format {

struct Node;

/// Threads: all const methods from any.
class Template {
 public:
  /// Errors: invalid (what, and at which offset).
  static Result<Template> parse(std::string_view text);
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  /// A field that is not there is an error, as of Go's structs; a key of what docker has as a map (labels,
  /// networks, ports …) is "<no value>". `labels`: what {{.Label "name"}} looks into.
  /// Errors: invalid (no such field, with the nearest; a function's arguments).
  Result<std::string> render(const boost::json::value& value, const boost::json::object* labels = nullptr) const;

  /// The line above a table: `titles` by field. Errors: invalid.
  Result<std::string> render_heading(const boost::json::object& titles) const;

 private:
  explicit Template(std::unique_ptr<Node> root);
  std::unique_ptr<Node> root_;
};

/// As Go prints a value: texts bare, lists as "[a b]", objects as "map[a:1 b:2]".
std::string text_of(const boost::json::value& value);

/// docker's forms of `--format`: "json" is "{{json .}}", and what begins with "table " has a heading,
/// made of the fields' names, and aligned columns.
struct Format {
  bool is_table = false;
  std::string text;  // Of the template, without "table ", "\t" and "\n" as bytes.
};
Format read_format(std::string_view text);

/// Lines of cells that are separated by tabs, as columns with three blanks between, each of ten at least.
std::string align_columns(std::string_view lines);

/// What a list prints.
struct Listing {
  std::string_view usual;      // The template behind "table".
  boost::json::object titles;  // Of all fields.
  bool has_heading = true;
};
struct ListingRow {
  boost::json::object fields;
  boost::json::object labels;  // Of {{.Label "name"}}.
};

/// `shape`: of `--format`; empty is "table". Errors: invalid.
Result<std::string> render_listing(const Listing& listing, const std::vector<ListingRow>& rows, std::string_view shape);

/// JSON as docker's `inspect` prints it, four blanks deeper for each level.
std::string indented(const boost::json::value& value);

}  // namespace kist::format

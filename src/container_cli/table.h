// What lists print: columns, JSON, or a template.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/terminal.h"

namespace kist::container_cli {

/// One line: fields by their names in templates and JSON ("Names"), in order.
using Row = std::vector<std::pair<std::string, std::string>>;

struct Column {
  std::string title;  // "CONTAINER ID"
  std::string field;  // "ID"
};

/// `format`: empty or "table": `columns`; "json": an object a line; else a template
/// (format/template.h) over these fields, after "table " with titles. Errors: invalid.
Result<void> print_rows(const std::vector<Row>& rows, const std::vector<Column>& columns, std::string_view format,
                        cli::Terminal& terminal);

/// What `inspect` shows: all as one list of JSON, or each through the template `format`. Errors: invalid.
Result<void> print_inspected(const boost::json::array& all, std::string_view format, cli::Terminal& terminal);

/// "1.5GiB", with binary units, as docker's stats.
std::string binary_bytes(uint64_t bytes);

}  // namespace kist::container_cli

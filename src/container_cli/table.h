// What lists print: columns, JSON, or a template.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/terminal.h"
#include "format/template.h"

namespace kist::container_cli {

/// What a list prints: columns, JSON, or a template, as `shape` (of `--format`) says. Errors: invalid.
Result<void> print_listing(const format::Listing& listing, const std::vector<format::ListingRow>& rows,
                           std::string_view shape, cli::Terminal& terminal);

/// "a=b,c=d", and the same for {{.Label "a"}}.
std::string labels_text(const std::map<std::string, std::string>& labels);
boost::json::object labels_object(const std::map<std::string, std::string>& labels);

/// What `inspect` shows: all as one list of JSON, or each through the template `format`. Errors: invalid.
Result<void> print_inspected(const boost::json::array& all, std::string_view format, cli::Terminal& terminal);

/// "1.5GiB", with binary units, as docker's stats.
std::string binary_bytes(uint64_t bytes);

}  // namespace kist::container_cli

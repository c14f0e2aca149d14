// --filter, and the questions and sums of the verbs that prune.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "cli/terminal.h"

namespace kist::container_cli {

/// Key → its values, which are alternatives. "label!=x" is the key "label!". Errors: invalid (not
/// KEY=VALUE, or a key that is not in `known`).
using Filters = std::map<std::string, std::vector<std::string>>;
Result<Filters> filters_of(const cli::Parsed& parsed, std::initializer_list<std::string_view> known);

/// All of "label", none of "label!": "key" or "key=value".
bool fits_labels(const Filters& filters, const std::map<std::string, std::string>& labels);
/// Whether the regular expression `pattern` is found in `text`; what is none is looked for as it stands.
bool matches(const std::string& pattern, const std::string& text);
/// By "until": RFC 3339, seconds since 1970, or a span ("24h"). Errors: invalid.
Result<int64_t> until_of(const Filters& filters);

/// As docker asks before it removes. True without asking if --force.
bool confirm(const cli::Parsed& parsed, cli::Terminal& terminal, std::string_view warning);
/// "Deleted Volumes:" and a line for each, if there is any; then the sum.
void print_pruned(cli::Terminal& terminal, std::string_view title, const std::vector<std::string>& removed, uint64_t bytes);

/// Of all files below `folder`, each inode once; what cannot be looked at counts nothing.
uint64_t bytes_below(const std::string& folder);

int64_t now_ns();  // Since 1970.

}  // namespace kist::container_cli

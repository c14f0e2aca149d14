// What the files of pip and uv on this machine say about the network and about indexes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::http {

/// Variables by name, as the process got them.
using Environment = std::map<std::string, std::string>;

/// The text of a file; empty when it does not exist or may not be read.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

/// A value and where it stood, for messages: "/etc/pip.conf", "PIP_INDEX_URL".
struct Setting {
  std::vector<std::string> values;
  std::string source;
};

/// Keys as in the files, with dashes: "index-url", "extra-index-url", "cert". Later files have
/// already won over earlier ones.
using Settings = std::map<std::string, Setting>;

struct UvIndex {
  std::string name;  // May be empty.
  std::string url;
  bool is_default = false;
};

struct ToolSettings {
  Settings pip;
  Settings uv;
  std::vector<UvIndex> uv_indexes;  // [[index]], in order of precedence.
  std::string uv_indexes_source;
};

/// Reads pip.conf where pip looks for it (/etc/xdg/pip, /etc, ~/.pip, ~/.config/pip, the active
/// virtual environment, PIP_CONFIG_FILE), [global] under [install]; then PIP_* variables over them.
/// Reads uv.toml where uv does (/etc/uv, ~/.config/uv, UV_CONFIG_FILE alone; none with
/// UV_NO_CONFIG), its [pip] table under the rest. UV_* variables are not in here: they are lists of
/// another form, see index_config.h.
///
/// Errors: invalid (uv.toml is not TOML, or pip.conf not INI; names file and line).
Result<ToolSettings> read_tool_settings(const Environment& environment, const ReadFile& read);

/// The value of a variable; empty when unset.
std::string_view variable(const Environment& environment, std::string_view name);
/// The first of them that is set and not empty; `found` gets its name.
std::string first_variable(const Environment& environment,
                           std::initializer_list<std::string_view> names,
                           std::string* found = nullptr);

// The two parsers, for tests. Both only see keys that somebody reads.
Result<void> merge_pip_conf(std::string_view text, const std::string& path, Settings& settings);
Result<void> merge_uv_toml(std::string_view text, const std::string& path, ToolSettings& settings);

}  // namespace kist::http

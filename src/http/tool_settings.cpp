#include "http/tool_settings.h"

#include <algorithm>

#include "base/text.h"
#include "http/client.h"

namespace kist::http {
namespace {

std::string join_path(std::string_view folder, std::string_view name) {
  return fmt::format("{}/{}", folder, name);
}

// $XDG_CONFIG_HOME, or ~/.config; empty without a home.
std::string config_home(const Environment& environment) {
  std::string own(variable(environment, "XDG_CONFIG_HOME"));
  if (!own.empty()) return own;
  const std::string_view home = variable(environment, "HOME");
  return home.empty() ? "" : join_path(home, ".config");
}

// Lowest precedence first (pip 23.2, _internal/configuration.py).
std::vector<std::string> pip_files(const Environment& environment) {
  const std::string_view own = variable(environment, "PIP_CONFIG_FILE");
  if (own == "/dev/null") return {};
  std::vector<std::string> paths;
  const std::string_view listed = variable(environment, "XDG_CONFIG_DIRS");
  for (const std::string_view folder : split(listed.empty() ? "/etc/xdg" : listed, ':'))
    if (!folder.empty()) paths.insert(paths.begin(), join_path(folder, "pip/pip.conf"));
  paths.push_back("/etc/pip.conf");
  if (const auto home = variable(environment, "HOME"); !home.empty())
    paths.push_back(join_path(home, ".pip/pip.conf"));
  if (const auto config = config_home(environment); !config.empty())
    paths.push_back(join_path(config, "pip/pip.conf"));
  if (const auto venv = variable(environment, "VIRTUAL_ENV"); !venv.empty())
    paths.push_back(join_path(venv, "pip.conf"));
  if (!own.empty()) paths.emplace_back(own);
  return paths;
}

std::vector<std::string> uv_files(const Environment& environment) {
  const std::string_view none = variable(environment, "UV_NO_CONFIG");
  if (!none.empty() && none != "0" && none != "false") return {};
  if (const auto own = variable(environment, "UV_CONFIG_FILE"); !own.empty())
    return {std::string(own)};
  std::vector<std::string> paths = {"/etc/uv/uv.toml"};
  const std::string_view listed = variable(environment, "XDG_CONFIG_DIRS");
  for (const std::string_view folder : split(listed, ':'))
    if (!folder.empty()) paths.push_back(join_path(folder, "uv/uv.toml"));
  if (const auto config = config_home(environment); !config.empty())
    paths.push_back(join_path(config, "uv/uv.toml"));
  return paths;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      word += c;
    } else if (!word.empty()) {
      out.push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) out.push_back(std::move(word));
  return out;
}

// What pip reads as "append": several values in one text.
bool is_list(std::string_view key) {
  return key == "extra-index-url" || key == "find-links" || key == "trusted-host";
}

std::vector<std::string> values_of(std::string_view key, std::string_view text) {
  if (is_list(key)) return words(text);
  return {std::string(trim(text))};
}

void merge_pip_variables(const Environment& environment, Settings& settings) {
  constexpr std::string_view kPrefix = "PIP_";
  for (const auto& [name, value] : environment) {
    if (!name.starts_with(kPrefix) || value.empty() || name == "PIP_CONFIG_FILE") continue;
    std::string key = to_lower(name.substr(kPrefix.size()));
    std::replace(key.begin(), key.end(), '_', '-');
    settings[key] = {values_of(key, value), name};
  }
}

// One "key = value" at a time, with the lines that continue it (Python's RawConfigParser).
class PipConf {
 public:
  PipConf(const std::string& path, Settings& global, Settings& install)
      : path_(path), sections_{{"global", &global}, {"install", &install}} {}

  Result<void> line(std::string_view raw, size_t number) {
    const std::string_view text = trim(raw);
    if (text.empty() || text[0] == '#' || text[0] == ';') return {};
    const bool continues = raw[0] == ' ' || raw[0] == '\t';
    if (continues && !key_.empty()) {
      value_ += '\n';
      value_ += text;
      return {};
    }
    end();
    if (text[0] == '[') {
      const size_t close = text.find(']');
      if (close == std::string_view::npos) return wrong(number, "a section without ']'");
      const auto found = sections_.find(std::string(text.substr(1, close - 1)));
      section_ = found == sections_.end() ? nullptr : found->second;
      seen_section_ = true;
      return {};
    }
    if (!seen_section_) return wrong(number, "a setting before the first [section]");
    const size_t equals = text.find_first_of("=:");
    if (equals == std::string_view::npos) return wrong(number, "a line without '='");
    key_ = to_lower(trim(text.substr(0, equals)));
    std::replace(key_.begin(), key_.end(), '_', '-');
    value_ = trim(text.substr(equals + 1));
    return {};
  }

  void end() {
    if (section_ != nullptr && !key_.empty()) (*section_)[key_] = {values_of(key_, value_), path_};
    key_.clear();
    value_.clear();
  }

 private:
  Error wrong(size_t number, const char* what) const {
    return Error(Code::invalid, "{}:{}: {}", printable(path_), number, what)
        .hint("`python3 -m pip config debug` shows what pip reads");
  }

  const std::string& path_;
  std::map<std::string, Settings*> sections_;
  Settings* section_ = nullptr;
  bool seen_section_ = false;
  std::string key_;
  std::string value_;
};

}  // namespace

std::string_view variable(const Environment& environment, std::string_view name) {
  const auto found = environment.find(std::string(name));
  return found == environment.end() ? std::string_view() : std::string_view(found->second);
}

std::string first_variable(const Environment& environment,
                           std::initializer_list<std::string_view> names, std::string* found) {
  for (const std::string_view name : names) {
    const std::string_view value = trim(variable(environment, name));
    if (value.empty()) continue;
    if (found != nullptr) *found = name;
    return std::string(value);
  }
  return "";
}

Result<void> merge_pip_conf(std::string_view text, const std::string& path, Settings& settings) {
  Settings global;
  Settings install;
  PipConf parser(path, global, install);
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  size_t number = 0;
  for (const std::string_view line : lines(text)) TRY(parser.line(line, ++number));
  parser.end();
  for (Settings* section : {&global, &install})
    for (auto& [key, setting] : *section) settings[key] = std::move(setting);
  return {};
}

Result<ToolSettings> read_tool_settings(const Environment& environment, const ReadFile& read) {
  ToolSettings out;
  for (const std::string& path : pip_files(environment))
    if (const auto text = read(path)) TRY(merge_pip_conf(*text, path, out.pip));
  merge_pip_variables(environment, out.pip);
  for (const std::string& path : uv_files(environment))
    if (const auto text = read(path)) TRY(merge_uv_toml(*text, path, out));
  return out;
}

}  // namespace kist::http

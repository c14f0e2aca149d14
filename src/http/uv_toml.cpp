// uv.toml, of which only what concerns indexes and the network is read.
#include "base/text.h"
#include "http/tool_settings.h"

// The same settings wherever the library is included: its functions are inline.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_MAX_NESTED_VALUES 64
#define TOML_ENABLE_FORMATTERS 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <toml++/toml.h>
#pragma GCC diagnostic pop

namespace kist::http {
namespace {

constexpr const char* kKeys[] = {
    "index-url",           "extra-index-url", "find-links",           "no-index",
    "allow-insecure-host", "native-tls",      "keyring-provider",     "http-proxy",
    "https-proxy",         "no-proxy",        "concurrent-downloads",
};

std::string text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  return "";
}

Setting setting_of(const toml::node& node, const std::string& path) {
  Setting out{{}, path};
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) out.values.push_back(text_of(element));
  } else {
    out.values.push_back(text_of(node));
  }
  return out;
}

void merge_keys(const toml::table& table, const std::string& path, Settings& settings) {
  for (const char* key : kKeys)
    if (const toml::node* node = table.get(key)) settings[key] = setting_of(*node, path);
}

std::string field(const toml::table& table, const char* key) {
  const toml::node* node = table.get(key);
  return node == nullptr ? "" : text_of(*node);
}

}  // namespace

Result<void> merge_uv_toml(std::string_view text, const std::string& path, ToolSettings& settings) {
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return Error(Code::invalid, "{}:{}:{}: {}", printable(path), error.source().begin.line,
                 error.source().begin.column, printable(error.description()));
  }
  const toml::table& root = parsed.table();
  if (const toml::node* pip = root.get("pip"); pip != nullptr && pip->is_table())
    merge_keys(*pip->as_table(), path, settings.uv);
  merge_keys(root, path, settings.uv);
  const toml::node* indexes = root.get("index");
  if (indexes == nullptr || !indexes->is_array()) return {};
  std::vector<UvIndex> own;
  for (const toml::node& node : *indexes->as_array()) {
    const toml::table* table = node.as_table();
    if (table == nullptr) continue;
    // An explicit index serves only packages that are pinned to it in a project's own file.
    if (field(*table, "explicit") == "true") continue;
    own.push_back(
        {field(*table, "name"), field(*table, "url"), field(*table, "default") == "true"});
  }
  // The user's indexes stand before those of the machine.
  settings.uv_indexes.insert(settings.uv_indexes.begin(), own.begin(), own.end());
  if (!own.empty()) settings.uv_indexes_source = path;
  return {};
}

}  // namespace kist::http

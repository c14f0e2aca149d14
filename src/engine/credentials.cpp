#include "engine/credentials.h"

#include "base/text.h"
#include "http/curl_client.h"
#include "http/index_config.h"
#include "http/url_credentials.h"
#include "toml/toml.h"

namespace kist::engine {
namespace {

constexpr uint64_t kMaxBytes = 16 << 20;

void append(std::vector<http::OriginCredentials>& to, std::vector<http::OriginCredentials> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

// [[tool.uv.index]]
std::vector<http::OriginCredentials> of_named_indexes(const std::string& pyproject,
                                                      const std::map<std::string, std::string>& variables) {
  http::IndexConfig found;
  const auto root = toml::parse(pyproject, "pyproject.toml");
  const auto* value = root ? &*root : nullptr;
  for (const char* key : {"tool", "uv", "index"}) {
    const auto* table = value == nullptr ? nullptr : value->as<toml::Table>();
    value = table == nullptr ? nullptr : table->find(key);
  }
  const auto* indexes = value == nullptr ? nullptr : value->as<toml::Array>();
  if (indexes == nullptr) return {};
  for (const auto& entry : *indexes) {
    const auto* table = entry.as<toml::Table>();
    const auto text = [&](const char* key) -> std::string {
      const auto* field = table == nullptr ? nullptr : table->find(key);
      const auto* string = field == nullptr ? nullptr : field->as<std::string>();
      return string == nullptr ? "" : *string;
    };
    http::Index index{.name = text("name"), .url = http::Secret(text("url"))};
    http::add_named_credentials(variables, index);
    found.extra.push_back(std::move(index));
  }
  return http::credentials_of(found);
}

}  // namespace

void learn_credentials(const environment::Context& context, const Project& project,
                       const python::Inputs& inputs) {
  std::vector<http::OriginCredentials> found;
  const auto& variables = context.host.variables;
  for (const std::string& file : inputs.requirements.files) {
    const auto text =
        os::read_file(file.starts_with("/") ? file : os::join(project.folder, file), kMaxBytes);
    if (!text) continue;
    std::string expanded = *text;
    for (const std::string& name : inputs.requirements.variables)
      if (const auto it = variables.find(name); it != variables.end())
        expanded = replaced(std::move(expanded), "${" + name + "}", it->second);
    append(found, http::credentials_in(expanded));
  }
  for (const std::string& package : inputs.packages) append(found, http::credentials_in(package));
  if (inputs.pyproject) {
    const auto text = os::read_file(os::join(project.folder, "pyproject.toml"), kMaxBytes);
    if (text) append(found, of_named_indexes(*text, variables));
    if (text) append(found, http::credentials_in(*text));
  }
  http::add_credentials(context.client, std::move(found));
}

}  // namespace kist::engine

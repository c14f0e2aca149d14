#include "main/network.h"

#include "http/config.h"
#include "http/index_config.h"
#include "http/keyring.h"

namespace kist {
namespace {

constexpr uint64_t kMaxSettingsBytes = 4 << 20;

std::optional<std::string> read_settings(const std::string& path) {
  auto text = os::read_file(path, kMaxSettingsBytes);
  if (!text) return std::nullopt;
  return std::move(*text);
}

std::vector<std::string> lines_of(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> lines;
  for (const auto& [name, value] : variables) lines.push_back(name + "=" + value);
  return lines;
}

}  // namespace

Result<verbs::Machine> read_machine(launch::Host host) {
  verbs::Machine machine;
  const auto settings = TRY(http::read_tool_settings(host.variables, read_settings));
  machine.network = http::config_from(host.variables, settings);
  auto indexes = http::index_config_from(host.variables, settings, KIST_DEFAULT_INDEX);
  http::ask_keyring(indexes, lines_of(host.variables));
  machine.network.credentials = http::credentials_of(indexes);
  for (const std::string& insecure : indexes.insecure_hosts)
    machine.network.insecure_hosts.push_back(insecure);
  machine.index_variables = http::uv_variables(indexes, machine.network);
  machine.default_registry = KIST_DEFAULT_REGISTRY;
  machine.default_index = indexes.default_url.reveal();
  for (const http::Secret& place : indexes.find_links)
    if (place.reveal().starts_with("/")) machine.index_folders.push_back(place.reveal());
  machine.host = std::move(host);
  return machine;
}

}  // namespace kist

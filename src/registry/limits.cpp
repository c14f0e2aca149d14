// What the configuration of the other container tools says of how much may go on at once.
#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "os/files.h"
#include "registry/address.h"
#include "toml/toml.h"

namespace kist::registry {
namespace {

constexpr uint64_t kMostFileBytes = 4u << 20;
constexpr int64_t kMostConnections = 64;

std::optional<size_t> in_limits(int64_t number) {
  if (number <= 0) return std::nullopt;  // podman's 0: as it likes.
  return static_cast<size_t>(std::min(number, kMostConnections));
}

// The person's file wins over the host's.
std::optional<size_t> of_podman(const Host& host) {
  const std::string config = host.variable("XDG_CONFIG_HOME");
  std::vector<std::string> files = {os::join(config.empty() ? os::join(host.home, ".config") : config, "containers/containers.conf"),
                                    "/etc/containers/containers.conf", "/usr/share/containers/containers.conf"};
  if (const std::string named = host.variable("CONTAINERS_CONF"); !named.empty()) files = {named};
  for (const std::string& path : files) {
    const auto text = os::read_file(path, kMostFileBytes);
    if (!text) continue;
    // What podman does not like in its own file it says itself.
    const auto root = toml::parse(*text, path, {.bytes = kMostFileBytes, .depth = 16, .values = 100'000});
    const auto* table = root ? root->as<toml::Table>() : nullptr;
    const toml::Value* engine = table == nullptr ? nullptr : table->find("engine");
    const auto* fields = engine == nullptr ? nullptr : engine->as<toml::Table>();
    const toml::Value* copies = fields == nullptr ? nullptr : fields->find("image_parallel_copies");
    const auto* number = copies == nullptr ? nullptr : copies->as<int64_t>();
    if (number != nullptr) return in_limits(*number);
  }
  return std::nullopt;
}

std::optional<size_t> of_docker(bool for_push) {
  const auto text = os::read_file("/etc/docker/daemon.json", kMostFileBytes);
  if (!text) return std::nullopt;
  boost::system::error_code failed;
  const auto value = boost::json::parse(*text, failed);
  if (failed || !value.is_object()) return std::nullopt;
  const auto* number = value.get_object().if_contains(for_push ? "max-concurrent-uploads" : "max-concurrent-downloads");
  return number != nullptr && number->is_int64() ? in_limits(number->get_int64()) : std::nullopt;
}

}  // namespace

std::optional<size_t> most_connections(const Host& host, bool for_push) {
  const auto podman = of_podman(host);
  return podman ? podman : of_docker(for_push);
}

}  // namespace kist::registry

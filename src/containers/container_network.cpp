#include "containers/container_network.h"

#include "base/text.h"
#include "os/files.h"

namespace kist::containers {
namespace {

constexpr std::string_view kHostGateway = "host-gateway";

networks::AttachRequest request_of(const Record& record, const std::string& folder) {
  networks::AttachRequest out;
  out.container = record.id;
  out.name = record.name;
  out.hostname = record.hostname;
  out.folder = folder;
  for (const NetworkRequest& one : record.networks) out.networks.push_back({one.name, one.aliases, one.ipv4, one.ipv6, one.mac});
  for (const PortRequest& port : record.ports)
    out.ports.push_back({port.host_ip, port.host_port, port.container_port, port.protocol});
  for (const std::string& line : record.extra_hosts) {
    const size_t colon = line.find(':');
    if (line.substr(colon + 1) == kHostGateway) out.gateway_names.push_back(line.substr(0, colon));
  }
  return out;
}

// One document a line.
std::vector<networks::Endpoint> read_remembered(const std::string& path) {
  std::vector<networks::Endpoint> out;
  const auto text = os::read_file(path, 16 << 20);
  if (!text) return out;
  for (const std::string_view line : lines(*text))
    if (auto endpoint = networks::decode_endpoint(line)) out.push_back(std::move(*endpoint));
  return out;
}

}  // namespace

Result<void> ContainerNetwork::prepare(const Record& record, SpecHost& host) {
  if (!record.is_networked()) return {};
  networks::AttachRequest request = request_of(record, folder_);
  if (remembers_) request.before = read_remembered(os::join(folder_, "network"));
  attachment_ = TRY(networks::attach(home_, request));
  if (remembers_) remember();
  host.network_namespace = fmt::format("/proc/self/fd/{}", attachment_.space.get());
  return {};
}

Result<std::optional<networks::Inhabited>> ContainerNetwork::enter() const {
  if (attachment_.empty()) return std::optional<networks::Inhabited>();
  auto there = TRY(networks::Inhabited::enter(attachment_.space));
  return std::optional<networks::Inhabited>(std::move(there));
}

void ContainerNetwork::remember() const {
  std::string text;
  for (const networks::Endpoint& endpoint : attachment_.endpoints) text += networks::encode(endpoint);
  (void)os::write_file_atomically(os::join(folder_, "network"), text, 0600).has_value();
}

void ContainerNetwork::ended() {
  // What was connected later goes too.
  if (!attachment_.empty()) networks::detach(home_, networks::endpoints_of(home_, attachment_.endpoints.front().container));
  attachment_ = {};
}

std::string ContainerNetwork::ports(const Record& record) const {
  std::vector<networks::PublishedPort> published;
  bool v6 = false;
  for (const networks::Endpoint& endpoint : attachment_.endpoints) {
    published.insert(published.end(), endpoint.ports.begin(), endpoint.ports.end());
    v6 = v6 || !endpoint.ipv6.empty();
  }
  return networks::ports_text(published, record.exposed_ports, v6);
}

}  // namespace kist::containers

#include "containers/container_network.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "base/text.h"
#include "networks/user_network.h"
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
  out.links = record.links;
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

// As docker: the default network knows whom one is linked to from the start; made ones tell as they come.
Result<void> check_links(const Place& place, const Record& record) {
  if (record.networks.empty() || record.networks.front().name != networks::kDefaultNetwork) return {};
  for (const std::string& link : record.links) {
    const Status other = TRY(place.status(link.substr(0, link.find(':'))), "--link");
    if (!other.is_alive())
      return Error(Code::invalid, "cannot link to a container that does not run: {}", printable(other.name))
          .hint(fmt::format("`kist start {}`", other.name));
    const Record theirs = TRY(place.record(other.id));
    if (!theirs.is_networked() || theirs.networks.front().name != networks::kDefaultNetwork)
      return Error(Code::invalid, "cannot link to {}, as it does not belong to the default network", printable(other.name))
          .hint("`kist network create NAME`, then `--network NAME` for both");
  }
  return {};
}

}  // namespace

Result<void> ContainerNetwork::prepare(const Record& record, SpecHost& host) {
  if (record.network.starts_with(kOfContainer)) return share(record, host);
  if (is_served(record)) return networks::check_user_network(record.network);
  if (!record.is_networked()) return {};
  TRY(check_links(place_, record));
  networks::AttachRequest request = request_of(record, folder_);
  if (remembers_) request.before = read_remembered(os::join(folder_, "network"));
  attachment_ = TRY(networks::attach(home_, request));
  if (remembers_) remember();
  host.network_namespace = fmt::format("/proc/self/fd/{}", attachment_.space.get());
  if (!has_name_server(record)) return {};
  const auto there = TRY(networks::Inhabited::enter(attachment_.space));
  // Without it the next of resolv.conf is asked.
  if (auto server = networks::NameServer::open({.hosts = os::join(folder_, "hosts"), .servers = record.dns_servers}))
    names_ = std::move(*server);
  return {};
}

bool ContainerNetwork::has_name_server(const Record& record) {
  constexpr uint16_t kPort = 53;
  const auto is_made = [](const NetworkRequest& one) { return one.name != networks::kDefaultNetwork && one.name != "default"; };
  const auto is_published = [](const PortRequest& port) { return port.container_port == kPort; };
  const auto is_exposed = [](const std::string& port) { return port == "53/udp" || port == "53/tcp"; };
  return std::any_of(record.networks.begin(), record.networks.end(), is_made) &&
         std::none_of(record.ports.begin(), record.ports.end(), is_published) &&
         std::none_of(record.exposed_ports.begin(), record.exposed_ports.end(), is_exposed);
}

void ContainerNetwork::add_to(std::vector<pollfd>& events) const {
  if (names_) names_->add_to(events);
}

void ContainerNetwork::look_at(const std::vector<pollfd>& events, size_t first) {
  if (names_) names_->look_at(events, first);
}

int64_t ContainerNetwork::deadline() const { return names_ ? names_->deadline() : INT64_MAX; }

Result<std::optional<networks::Inhabited>> ContainerNetwork::enter() const {
  if (attachment_.empty()) return std::optional<networks::Inhabited>();
  auto there = TRY(networks::Inhabited::enter(attachment_.space));
  return std::optional<networks::Inhabited>(std::move(there));
}

// As docker: its names and addresses are the other's.
Result<void> ContainerNetwork::share(const Record& record, SpecHost& host) const {
  const std::string id = TRY(place_.find(record.network.substr(kOfContainer.size())), "--network {}", printable(record.network));
  const Status other = TRY(place_.status(id));
  if (!other.is_alive())
    return Error(Code::invalid, "cannot join the network of a container that does not run: container {} is not running",
                 printable(other.name))
        .hint(fmt::format("`kist start {}`", other.name));
  const Record theirs = TRY(place_.record(id));
  host.network_files = place_.folder_of(id);
  if (theirs.network == "host" && !host.is_root)
    return Error(Code::unsupported, "container {} is on the host's network, which a plain user's container cannot join by another",
                 printable(theirs.name))
        .hint("`--network host`");
  host.network_namespace = fmt::format("/proc/{}/ns/net", other.pid);
  if (!host.is_root) host.user_namespace = fmt::format("/proc/{}/ns/user", other.pid);
  return {};
}

bool ContainerNetwork::is_served(const Record& record) {
  return record.network == "pasta" || record.network == "slirp4netns";
}

Result<void> ContainerNetwork::serve(const Record& record, pid_t pid) {
  networks::UserNetworkRequest request;
  request.program = record.network;
  request.process = pid;
  request.folder = folder_;
  for (const PortRequest& port : record.ports)
    request.ports.push_back({port.host_ip, port.host_port, port.container_port, port.protocol});
  networks::UserNetwork network = TRY(networks::serve_user_network(request));
  networks::Endpoint endpoint;
  endpoint.container = record.id;
  endpoint.name = record.name;
  endpoint.network_name = network.program;
  endpoint.ports = std::move(network.ports);
  ending_ = std::move(network.ending);
  attachment_.endpoints = {std::move(endpoint)};
  // Whoever inspects it has nowhere else to look.
  remember();
  return {};
}

void ContainerNetwork::remember() const {
  std::string text;
  for (const networks::Endpoint& endpoint : attachment_.endpoints) text += networks::encode(endpoint);
  (void)os::write_file_atomically(os::join(folder_, "network"), text, 0600).has_value();
}

void ContainerNetwork::ended() {
  names_.reset();
  // What was connected later goes too.
  if (!attachment_.empty()) networks::detach(home_, networks::endpoints_of(home_, attachment_.endpoints.front().container));
  attachment_ = {};
  // Its ports are wanted again by the next start.
  constexpr int kPatienceMs = 2000;
  pollfd event = {ending_.get(), POLLIN, 0};
  if (ending_.is_open()) (void)::poll(&event, 1, kPatienceMs);
  ending_ = os::Fd();
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

std::vector<networks::Endpoint> endpoints_of(const networks::Home& home, const Place& place, const Record& record) {
  if (record.is_networked()) return networks::endpoints_of(home, record.id);
  if (ContainerNetwork::is_served(record)) return read_remembered(place.file_of(record.id, "network"));
  return {};
}

}  // namespace kist::containers

#include "networks/endpoint.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "format/json_fields.h"

namespace kist::networks {
namespace {

template <class F>
void fields(F& f, PublishedPort& p) {
  f("hostIp", p.host_ip);
  f("hostPort", p.host_port);
  f("containerPort", p.container_port);
  f("protocol", p.protocol);
}

template <class F>
void fields(F& f, Endpoint& e) {
  f("container", e.container);
  f("name", e.name);
  f("hostname", e.hostname);
  f("network", e.network);
  f("networkName", e.network_name);
  f("aliases", e.aliases);
  f("folder", e.folder);
  f("keeper", e.keeper);
  f("keeperStart", e.keeper_start);
  f("outside", e.outside);
  f("inside", e.inside);
  f("mac", e.mac);
  f("ipv4", e.ipv4);
  f("bits4", e.bits4);
  f("gateway4", e.gateway4);
  f("ipv6", e.ipv6);
  f("bits6", e.bits6);
  f("gateway6", e.gateway6);
  f("gatewayNames", e.gateway_names);
  f("links", e.links);
  f("ports", e.ports);
}

constexpr int kVersion = 1;
constexpr size_t kMaxBytes = 8 << 20;

std::string members_of(const Home& home, std::string_view network_id) {
  return os::join(home.live_of(network_id), "members");
}
std::string lease_of(const Home& home, std::string_view network_id, const Address& address) {
  return os::join(os::join(home.live_of(network_id), "leases"), address.text());
}

Result<Endpoint> read_member(const std::string& path) {
  const std::string text = TRY(os::read_file(path, kMaxBytes));
  return decode_endpoint(text);
}

}  // namespace

std::vector<std::string> Endpoint::names() const {
  std::vector<std::string> out;
  const auto add = [&](const std::string& text) {
    if (!text.empty() && std::find(out.begin(), out.end(), text) == out.end()) out.push_back(text);
  };
  add(name);
  for (const std::string& alias : aliases) add(alias);
  add(container.substr(0, 12));
  add(hostname);
  return out;
}

std::string encode(const Endpoint& endpoint) {
  format::JsonWriter writer([](auto& f, auto& value) { fields(f, value); });
  boost::json::object root = writer.object_of(endpoint);
  root["version"] = kVersion;
  return boost::json::serialize(root) + "\n";
}

Result<Endpoint> decode_endpoint(std::string_view json) {
  const auto root = TRY(format::parse_object(json, kMaxBytes, kVersion), "a network's member");
  Endpoint out;
  format::JsonReader reader([](auto& f, auto& value) { fields(f, value); });
  reader.read(root, out);
  if (!reader.wrong().empty())
    return Error(Code::corrupt, "a network's member: {} has the wrong type", reader.wrong());
  // Rules are written from these.
  for (const std::string* text : {&out.ipv4, &out.gateway4, &out.ipv6, &out.gateway6})
    if (!text->empty()) TRY(Address::parse(*text), "a network's member");
  for (const PublishedPort& port : out.ports) {
    if (!port.host_ip.empty()) TRY(Address::parse(port.host_ip), "a network's member");
    if (port.protocol != "tcp" && port.protocol != "udp")
      return Error(Code::corrupt, "a network's member: '{}' is no protocol", printable(port.protocol));
  }
  return out;
}

std::string outside_name(std::string_view container_id, unsigned number) {
  return fmt::format("kv{}{:x}", container_id.substr(0, 12), number % 16);
}

std::vector<Endpoint> members(const Home& home, std::string_view network_id) {
  std::vector<Endpoint> out;
  const std::string folder = members_of(home, network_id);
  const auto names = os::list_folder(folder);
  if (!names) return out;
  for (const std::string& name : *names)
    if (auto endpoint = read_member(os::join(folder, name)); endpoint && endpoint->outside == name)
      out.push_back(std::move(*endpoint));
  return out;
}

std::vector<Endpoint> endpoints_of(const Home& home, std::string_view container_id) {
  std::vector<Endpoint> out;
  const std::string prefix = outside_name(container_id, 0).substr(0, 14);
  const auto networks = os::list_folder(home.live());
  for (const std::string& network : networks ? *networks : std::vector<std::string>()) {
    if (network.size() != 64) continue;
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (const char digit : kDigits) {
      const std::string path = os::join(members_of(home, network), prefix + digit);
      auto endpoint = os::exists(path) ? read_member(path) : Result<Endpoint>(Error(Code::not_found, "none"));
      if (endpoint && endpoint->container == container_id) out.push_back(std::move(*endpoint));
    }
  }
  std::sort(out.begin(), out.end(), [](const Endpoint& a, const Endpoint& b) { return a.outside < b.outside; });
  return out;
}

Result<void> write_member(const Home& home, const Endpoint& endpoint) {
  return os::write_file_atomically(os::join(members_of(home, endpoint.network), endpoint.outside), encode(endpoint), 0600);
}

void remove_member(const Home& home, const Endpoint& endpoint) {
  for (const std::string* text : {&endpoint.ipv4, &endpoint.ipv6}) {
    const auto address = Address::parse(*text);
    if (!address) continue;
    const std::string lease = lease_of(home, endpoint.network, *address);
    const auto owner = os::read_link(lease);
    if (owner && *owner == endpoint.container) (void)::unlink(lease.c_str());
  }
  (void)::unlink(os::join(members_of(home, endpoint.network), endpoint.outside).c_str());
}

Result<void> take_lease(const Home& home, std::string_view network_id, const Address& address,
                        const std::string& container_id) {
  const std::string lease = lease_of(home, network_id, address);
  if (::symlink(container_id.c_str(), lease.c_str()) == 0) return {};
  if (errno != EEXIST) return Error::from_errno(errno, "take the address {}", address.text());
  const auto owner = os::read_link(lease);
  if (owner && *owner == container_id) return {};
  return Error(Code::exists, "Address already in use: {} is container {}'s", address.text(),
               printable(owner.value_or("?").substr(0, 12)));
}

bool is_leased(const Home& home, std::string_view network_id, const Address& address) {
  return os::exists(lease_of(home, network_id, address));
}

bool is_stale(const Netlink& host, const Endpoint& endpoint) {
  if (host.index_of(endpoint.outside) != 0) return false;
  const uint64_t start = start_of(endpoint.keeper);
  return start == 0 || start != endpoint.keeper_start;
}

uint64_t start_of(pid_t pid) {
  if (pid <= 0) return 0;
  const auto text = os::read_file(fmt::format("/proc/{}/stat", pid), 1 << 16);
  if (!text) return 0;
  const size_t end = text->rfind(')');  // The name before it may hold anything.
  if (end == std::string::npos) return 0;
  const auto words = split(trim(std::string_view(*text).substr(end + 1)), ' ');
  constexpr size_t kStart = 22 - 3;
  if (words.size() <= kStart || words[0] == "Z") return 0;
  return parse_number(words[kStart]).value_or(0);
}

}  // namespace kist::networks

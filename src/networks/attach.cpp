#include "networks/attach.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "networks/flows.h"
#include "networks/links.h"
#include "networks/live.h"
#include "networks/names.h"
#include "networks/rules.h"

namespace kist::networks {
namespace {

constexpr unsigned kMostNetworks = 16;  // One digit of outside_name().

struct Joining {
  Network network;
  uint32_t bridge = 0;
  Endpoint endpoint;
};

Result<Network> find_network(const Home& home, const Netlink& host, const std::string& name) {
  if (name == kDefaultNetwork || name == "default") return default_network(home, host);
  return home.find(name);
}

std::optional<Address> last_of(const Home& home, const Network& network, bool is_v6) {
  const auto text = os::read_file(os::join(home.live_of(network.id), is_v6 ? "last6" : "last4"), 100);
  if (!text) return {};
  const auto address = Address::parse(trim(*text));
  return address ? std::optional<Address>(*address) : std::nullopt;
}

// The wish must hold, what it had before may.
Result<Address> choose_address(const Home& home, const Network& network, const Range& range, const std::string& wish,
                               const std::string& before) {
  const bool is_v6 = range.subnet.is_v6();
  const auto is_taken = [&](const Address& address) { return is_leased(home, network.id, address); };
  if (!wish.empty()) {
    const Address address = TRY(Address::parse(wish), "{}", is_v6 ? "--ip6" : "--ip");
    if (address.is_v6() != is_v6 || !range.subnet.contains(address))
      return Error(Code::invalid, "{}: {} does not belong to {} of network {}", is_v6 ? "--ip6" : "--ip", wish,
                   range.subnet.text(), printable(network.name));
    const bool edge = address == range.subnet.base() || (!is_v6 && address == range.subnet.last());
    if (edge || address == range.gateway)
      return Error(Code::exists, "Address already in use: {} is the network's own", address.text());
    return address;
  }
  const auto [first, end] = bounds_of(range);
  if (const auto old = Address::parse(before); old && *old >= first && *old <= end && *old != range.gateway && !is_taken(*old))
    return *old;
  const Address next = TRY(next_address(range, last_of(home, network, is_v6), is_taken));
  (void)os::write_file_atomically(os::join(home.live_of(network.id), is_v6 ? "last6" : "last4"), next.text(), 0600).has_value();
  return next;
}

Result<void> choose_addresses(const Home& home, const NetworkWish& wish, const std::vector<Endpoint>& before,
                              Joining& joining) {
  Endpoint& out = joining.endpoint;
  const auto old = std::find_if(before.begin(), before.end(), [&](const Endpoint& e) { return e.network == out.network; });
  const auto lacks = [&](const char* flag) {
    return Error(Code::invalid, "{}: network {} has no subnet of this family", flag, printable(joining.network.name));
  };
  if (!wish.ipv4.empty() && joining.network.range(false) == nullptr) return lacks("--ip");
  if (!wish.ipv6.empty() && joining.network.range(true) == nullptr) return lacks("--ip6");
  for (const Range& range : joining.network.ranges) {
    const bool v6 = range.subnet.is_v6();
    const std::string had = old == before.end() ? "" : v6 ? old->ipv6 : old->ipv4;
    const Address address = TRY(choose_address(home, joining.network, range, v6 ? wish.ipv6 : wish.ipv4, had));
    if (is_leased(home, joining.network.id, address)) TRY(take_lease(home, joining.network.id, address, out.container));
    (v6 ? out.ipv6 : out.ipv4) = address.text();
    (v6 ? out.bits6 : out.bits4) = range.subnet.bits();
    if (!joining.network.internal) (v6 ? out.gateway6 : out.gateway4) = range.gateway.text();
    if (out.mac.empty()) out.mac = mac_text(mac_of(address));
  }
  if (!wish.mac.empty()) {
    const auto mac = TRY(parse_mac(wish.mac), "--mac-address");
    out.mac = mac_text(mac);
  }
  return {};
}

Result<Joining> join(const Home& home, const Netlink& host, const AttachRequest& request, const NetworkWish& wish,
                     unsigned number) {
  Joining out;
  out.network = TRY(find_network(home, host, wish.name));
  out.bridge = TRY(bring_network_up(home, host, out.network), "network {}", printable(out.network.name));
  Endpoint& endpoint = out.endpoint;
  endpoint.container = request.container;
  endpoint.name = request.name;
  endpoint.hostname = request.hostname;
  endpoint.network = out.network.id;
  endpoint.network_name = out.network.name;
  endpoint.aliases = wish.aliases;
  endpoint.folder = request.folder;
  endpoint.gateway_names = request.gateway_names;
  endpoint.links = request.links;
  endpoint.keeper = ::getpid();
  endpoint.keeper_start = start_of(endpoint.keeper);
  endpoint.outside = outside_name(request.container, number);
  endpoint.inside = fmt::format("eth{}", number);
  TRY(choose_addresses(home, wish, request.before, out));
  return out;
}

std::vector<PublishedPort> ports_of_others(const Home& home, const std::string& container) {
  std::vector<PublishedPort> out;
  for (const LiveNetwork& live : live_networks(home))
    for (const Endpoint& member : live.members)
      if (member.container != container) out.insert(out.end(), member.ports.begin(), member.ports.end());
  return out;
}

Result<void> check_ports(const std::vector<PublishedPort>& ports, const Network& network) {
  for (const PublishedPort& port : ports) {
    if (port.host_ip.empty()) continue;
    const Address address = TRY(Address::parse(port.host_ip));
    if (network.range(address.is_v6()) == nullptr)
      return Error(Code::invalid, "port {} cannot be published at {}: network {} has no IPv{}", port.container_port,
                   port.host_ip, printable(network.name), address.is_v6() ? 6 : 4)
          .hint("`kist network create --ipv6 NAME` makes one that has both");
    if (address.is_v6() && address.is_loopback() && !leads_loopback_v6())
      return Error(Code::unsupported,
                   "port {} cannot be published at [::1]: answers from bridges are filtered here before the host sees them "
                   "(net.bridge.bridge-nf-call-ip6tables is 1), and the kernel drops them then", port.container_port)
          .hint(fmt::format("`-p 127.0.0.1:{}:{}`, or `sysctl -w net.bridge.bridge-nf-call-ip6tables=0`",
                            port.host_port == 0 ? "" : fmt::format("{}", port.host_port), port.container_port));
  }
  return {};
}

Result<void> publish(const Home& home, const Netlink& host, const AttachRequest& request, std::vector<Joining>& joinings,
                     Attachment& out) {
  if (request.ports.empty()) return {};
  const auto leads_out = std::find_if(joinings.begin(), joinings.end(), [](const Joining& j) { return !j.network.internal; });
  if (leads_out == joinings.end())
    return Error(Code::invalid, "ports cannot be published: network {} is internal", printable(joinings.front().network.name));
  TRY(check_ports(request.ports, leads_out->network));
  std::vector<PublishedPort> before;
  for (const Endpoint& old : request.before) before.insert(before.end(), old.ports.begin(), old.ports.end());
  TakenPorts taken = TRY(take_ports(request.ports, ports_of_others(home, request.container), before));
  leads_out->endpoint.ports = std::move(taken.ports);
  out.port_sockets = std::move(taken.sockets);
  // What the host itself sends to 127.0.0.1 and ::1 leaves by the bridge then. Rules keep containers from
  // answering in kind.
  if (leads_out->network.range(true) != nullptr) TRY(lead_loopback_v6(host, leads_out->network.interface));
  return set_sysctl(fmt::format("/proc/sys/net/ipv4/conf/{}/route_localnet", leads_out->network.interface), "1");
}

Result<void> record(const Home& home, const std::vector<Joining>& joinings) {
  const bool ports = std::any_of(joinings.begin(), joinings.end(), [](const Joining& j) { return !j.endpoint.ports.empty(); });
  if (ports) TRY(begin_change(home));
  for (const Joining& joining : joinings) {
    // The member first: a lease that nobody is seen to have would stay for ever.
    TRY(write_member(home, joining.endpoint));
    for (const std::string* text : {&joining.endpoint.ipv4, &joining.endpoint.ipv6}) {
      if (text->empty()) continue;
      const Address address = TRY(Address::parse(*text));
      TRY(take_lease(home, joining.network.id, address, joining.endpoint.container));
    }
  }
  if (!ports) return {};
  TRY(load_rules(home));
  std::vector<Endpoint> come;
  for (const Joining& joining : joinings) come.push_back(joining.endpoint);
  forget_flows_before(come);
  return {};
}

std::vector<Held> held_by(const Endpoint& endpoint) {
  std::vector<Held> out;
  if (const auto v4 = Address::parse(endpoint.ipv4)) out.push_back({*v4, endpoint.bits4});
  if (const auto v6 = Address::parse(endpoint.ipv6)) out.push_back({*v6, endpoint.bits6});
  return out;
}

// The first network that leads out has the default routes.
std::vector<Inside> insides_of(const std::vector<Joining>& joinings, bool has_route4, bool has_route6) {
  std::vector<Inside> out;
  for (const Joining& joining : joinings) {
    const Endpoint& endpoint = joining.endpoint;
    Inside inside{endpoint.inside, held_by(endpoint), {}, parse_mac(endpoint.mac).value_or(std::array<uint8_t, 6>{})};
    if (const auto gateway = Address::parse(endpoint.gateway4); gateway && !has_route4) {
      inside.gateways.push_back(*gateway);
      has_route4 = true;
    }
    if (const auto gateway = Address::parse(endpoint.gateway6); gateway && !has_route6) {
      inside.gateways.push_back(*gateway);
      has_route6 = true;
    }
    out.push_back(std::move(inside));
  }
  return out;
}

Result<void> lay_cables(const Netlink& host, const Netlink& inner, const os::Fd& space,
                        const std::vector<Joining>& joinings, const std::vector<Inside>& insides) {
  for (size_t i = 0; i < joinings.size(); ++i) {
    const Endpoint& endpoint = joinings[i].endpoint;
    const auto mac = TRY(parse_mac(endpoint.mac));
    // A killed predecessor of the same name may not be gone from the kernel yet.
    TRY(remove_link(host, endpoint.outside));
    TRY(make_cable(host, {endpoint.outside, joinings[i].bridge, space, endpoint.inside, mac, joinings[i].network.mtu}));
  }
  TRY(raise_inside(inner, insides));
  for (const Joining& joining : joinings) {
    const auto mac = TRY(parse_mac(joining.endpoint.mac));
    TRY(raise_cable(host, {joining.endpoint.outside, joining.bridge, space, joining.endpoint.inside, mac, 0,
                           !joining.endpoint.ports.empty()}));
  }
  return {};
}

Result<os::Fd> own_space() { return os::open_file("/proc/self/ns/net", O_RDONLY); }

// A fresh namespace, and a socket in it.
Result<std::pair<os::Fd, Netlink>> make_space() {
  const os::Fd host = TRY(own_space());
  if (::unshare(CLONE_NEWNET) != 0) return Error::from_errno(errno, "make a network namespace");
  auto space = own_space();
  auto inner = Netlink::open();
  if (::setns(host.get(), CLONE_NEWNET) != 0) return Error::from_errno(errno, "go back to the host's network");
  if (!space) return space.error();
  if (!inner) return inner.error();
  return std::pair(std::move(*space), std::move(*inner));
}

Result<Netlink> socket_in(const os::Fd& space) {
  const Inhabited there = TRY(Inhabited::enter(space));
  return Netlink::open();
}

Result<std::vector<Joining>> join_all(const Home& home, const Netlink& host, const AttachRequest& request) {
  if (request.networks.size() > kMostNetworks)
    return Error(Code::invalid, "{} networks for one container, at most {}", request.networks.size(), kMostNetworks);
  std::vector<Joining> out;
  for (const NetworkWish& wish : request.networks) {
    Joining joining = TRY(join(home, host, request, wish, static_cast<unsigned>(out.size())));
    const bool twice = std::any_of(out.begin(), out.end(), [&](const Joining& j) { return j.network.id == joining.network.id; });
    if (!twice) out.push_back(std::move(joining));
  }
  return out;
}

// On the default network only who is linked to others wants to know of them, which is rare: a file says so.
std::string links_file(const Home& home) { return os::join(home.live(), "links"); }

bool tells_names(const Home& home, const std::vector<Endpoint>& endpoints) {
  return std::any_of(endpoints.begin(), endpoints.end(), [](const Endpoint& e) { return e.network_name != kDefaultNetwork; }) ||
         os::exists(links_file(home));
}

void forget(const Home& home, const std::vector<Endpoint>& endpoints) {
  const bool ports = std::any_of(endpoints.begin(), endpoints.end(), [](const Endpoint& e) { return !e.ports.empty(); });
  if (ports) (void)begin_change(home).has_value();
  for (const Endpoint& endpoint : endpoints) remove_member(home, endpoint);
  if (ports) (void)load_rules(home).has_value();  // Else whoever comes next does.
  if (ports) forget_flows_of(endpoints);
  if (tells_names(home, endpoints)) write_names(home);
}

}  // namespace

Result<Inhabited> Inhabited::enter(const os::Fd& space) {
  os::Fd before = TRY(own_space());
  if (::setns(space.get(), CLONE_NEWNET) != 0) return Error::from_errno(errno, "enter the container's network");
  return Inhabited(std::move(before));
}

Inhabited::~Inhabited() {
  if (before_.is_open()) (void)::setns(before_.get(), CLONE_NEWNET);
}

Result<Attachment> attach(const Home& home, const AttachRequest& request) {
  const Netlink host = TRY(Netlink::open());
  auto [space, inner] = TRY(make_space());
  const os::FileLock lock = TRY(home.lock());
  TRY(reconcile_locked(home, host));
  Attachment out;
  auto joinings = TRY(join_all(home, host, request));
  TRY(publish(home, host, request, joinings, out));
  for (const Joining& joining : joinings) out.endpoints.push_back(joining.endpoint);
  if (!request.links.empty()) TRY(os::write_file_atomically(links_file(home), "", 0600));
  const auto done = [&]() -> Result<void> {
    TRY(record(home, joinings));
    return lay_cables(host, inner, space, joinings, insides_of(joinings, false, false));
  }();
  if (!done) {
    forget(home, out.endpoints);
    return done.error();
  }
  out.space = std::move(space);
  tells_names(home, out.endpoints) ? write_names(home) : write_own_names(out.endpoints);
  return out;
}

void detach(const Home& home, const std::vector<Endpoint>& endpoints) {
  if (endpoints.empty()) return;
  const auto lock = home.lock();
  if (lock) forget(home, endpoints);
}

Result<Endpoint> connect(const Home& home, const AttachRequest& request, const NetworkWish& wish, pid_t pid) {
  const Netlink host = TRY(Netlink::open());
  const os::Fd space = TRY(os::open_file(fmt::format("/proc/{}/ns/net", pid), O_RDONLY));
  const Netlink inner = TRY(socket_in(space));
  const os::FileLock lock = TRY(home.lock());
  TRY(reconcile_locked(home, host));
  const auto has = endpoints_of(home, request.container);
  bool route4 = false;
  bool route6 = false;
  unsigned number = 0;
  for (const Endpoint& endpoint : has) {
    route4 = route4 || !endpoint.gateway4.empty();
    route6 = route6 || !endpoint.gateway6.empty();
  }
  while (std::any_of(has.begin(), has.end(), [&](const Endpoint& e) { return e.outside == outside_name(request.container, number); }))
    if (++number == kMostNetworks) return Error(Code::invalid, "a container can be on {} networks at most", kMostNetworks);
  std::vector<Joining> joinings;
  Joining joining = TRY(join(home, host, request, wish, number));
  joinings.push_back(std::move(joining));
  Endpoint& endpoint = joinings.front().endpoint;
  if (std::any_of(has.begin(), has.end(), [&](const Endpoint& e) { return e.network == endpoint.network; }))
    return Error(Code::exists, "endpoint with name {} already exists in network {}", printable(request.name),
                 printable(endpoint.network_name));
  endpoint.keeper = pid;
  endpoint.keeper_start = start_of(pid);
  const auto done = [&]() -> Result<void> {
    TRY(record(home, joinings));
    return lay_cables(host, inner, space, joinings, insides_of(joinings, route4, route6));
  }();
  if (!done) {
    forget(home, {endpoint});
    return done.error();
  }
  write_names(home);
  return endpoint;
}

Result<void> disconnect(const Home& home, const Endpoint& endpoint, pid_t pid) {
  const Netlink host = TRY(Netlink::open());
  const os::FileLock lock = TRY(home.lock());
  TRY(remove_link(host, endpoint.outside));
  forget(home, {endpoint});
  write_names(home);
  if (pid == 0) return {};
  // The default route went with the interface; the next network that leads out has it now.
  for (const Endpoint& other : endpoints_of(home, endpoint.container)) {
    const os::Fd space = TRY(os::open_file(fmt::format("/proc/{}/ns/net", pid), O_RDONLY));
    const Netlink inner = TRY(socket_in(space));
    std::vector<Address> gateways;
    if (const auto v4 = Address::parse(other.gateway4)) gateways.push_back(*v4);
    if (const auto v6 = Address::parse(other.gateway6)) gateways.push_back(*v6);
    if (gateways.empty()) continue;
    const auto routed = raise_inside(inner, {{other.inside, {}, gateways, {}}});
    if (!routed && routed.error().code() != Code::exists) return routed.error();
    break;
  }
  return {};
}

}  // namespace kist::networks

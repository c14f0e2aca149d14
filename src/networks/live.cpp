#include "networks/live.h"

#include <time.h>

#include <algorithm>

#include "base/text.h"
#include "networks/flows.h"
#include "networks/links.h"
#include "networks/names.h"

namespace kist::networks {
namespace {

constexpr const char* kBridgeName = "com.docker.network.bridge.name";
constexpr const char* kMtu = "com.docker.network.driver.mtu";

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// The host's name servers may be behind the default route; a network of theirs would hide them.
void add_name_servers(std::vector<Subnet>& taken) {
  const auto text = os::read_file("/etc/resolv.conf", 1 << 20);
  if (!text) return;
  for (const std::string_view line : lines(*text)) {
    if (!line.starts_with("nameserver")) continue;
    const auto address = Address::parse(trim(line.substr(10)));
    if (address) taken.push_back(Subnet::of(*address, address->bits()));
  }
}

Result<std::vector<Subnet>> taken_subnets(const Home& home, const Netlink& host) {
  auto taken = TRY(routed_subnets(host));
  add_name_servers(taken);
  const auto all = TRY(home.all());
  for (const Network& network : all)
    for (const Range& range : network.ranges) taken.push_back(range.subnet);
  // Those of other stores that are up have routes; those that are not may come up at any time.
  for (const LiveNetwork& live : live_networks(home))
    for (const Range& range : live.network.ranges) taken.push_back(range.subnet);
  return taken;
}

Result<void> check_free(const Home& home, const Netlink& host, const std::vector<Range>& ranges) {
  const auto all = TRY(home.all());
  for (const Range& range : ranges)
    for (const Network& other : all)
      for (const Range& theirs : other.ranges)
        if (theirs.subnet.overlaps(range.subnet))
          return Error(Code::invalid, "Pool overlaps with other one on this address space: {} with {} of network {}",
                       range.subnet.text(), theirs.subnet.text(), printable(other.name))
              .hint(fmt::format("another --subnet, or `kist network rm {}`", shell_quote(other.name)));
  const auto routed = TRY(routed_subnets(host));
  for (const Range& range : ranges)
    for (const Subnet& theirs : routed)
      // An IPv6 host has routes for all of multicast and link-local, which nobody asks for.
      if (theirs.overlaps(range.subnet))
        return Error(Code::invalid, "--subnet: {} overlaps with {}, which this host has a route to",
                     range.subnet.text(), theirs.text())
            .hint("`ip route` lists them; leave --subnet out and one is chosen");
  return {};
}

Result<void> allow_forwarding(const Network& network) {
  if (network.internal) return {};
  TRY(set_sysctl("/proc/sys/net/ipv4/ip_forward", "1"));
  if (network.range(true) != nullptr) TRY(set_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1"));
  return {};
}

Result<void> make_live_folder(const Home& home, const Network& network) {
  const std::string folder = home.live_of(network.id);
  TRY(os::make_folders(os::join(folder, "members"), 0700));
  TRY(os::make_folders(os::join(folder, "leases"), 0700));
  return os::write_file_atomically(os::join(folder, "network"), encode(network), 0600);
}

// A network that nobody is on, whose bridge is gone, or may be half made.
bool is_left_over(const Netlink& host, const LiveNetwork& live, bool was_changing) {
  return live.members.empty() && (was_changing || host.index_of(live.network.interface) == 0);
}

// The interfaces of members, without reading what is in their files.
bool may_be_stale(const Home& home, const Netlink& host) {
  if (is_changing(home)) return true;
  const auto networks = os::list_folder(home.live());
  if (!networks) return false;
  bool any = false;
  for (const std::string& id : *networks) {
    if (id.size() != 64) continue;
    any = true;
    const auto names = os::list_folder(os::join(home.live_of(id), "members"));
    for (const std::string& name : names ? *names : std::vector<std::string>())
      if (host.index_of(name) == 0) return true;
  }
  return any && !has_rules();
}

}  // namespace

Result<void> set_sysctl(const std::string& path, std::string_view value) {
  const auto now = os::read_file(path, 4096);
  if (now && trim(*now) == value) return {};
  const os::Fd file = TRY(os::open_file(path, O_WRONLY), "setting what networks need");
  TRY(os::write_all(file, value), "writing {} to '{}'", value, path);
  return {};
}

Result<Network> default_network(const Home& home, const Netlink& host) {
  auto found = home.find(kDefaultNetwork);
  if (found || found.error().code() != Code::not_found) return found;
  Network network;
  network.id = TRY(new_network_id());
  network.name = kDefaultNetwork;
  network.created_ns = now_ns();
  network.interface = "kist-" + network.id.substr(0, 8);
  const auto taken = TRY(taken_subnets(home, host));
  const Range range = TRY(free_range(taken));
  network.ranges.push_back(range);
  TRY(home.make(network));
  return network;
}

Result<Network> create_network(const Home& home, const Creation& wanted) {
  TRY(check_network_name(wanted.name));
  const os::FileLock lock = TRY(home.lock());
  const Netlink host = TRY(Netlink::open());
  Network network;
  network.id = TRY(new_network_id());
  network.name = wanted.name;
  network.created_ns = now_ns();
  network.interface = "kist-" + network.id.substr(0, 8);
  network.internal = wanted.internal;
  network.attachable = wanted.attachable;
  network.labels = wanted.labels;
  network.options = wanted.options;
  if (const auto name = wanted.options.find(kBridgeName); name != wanted.options.end()) {
    network.interface = name->second;
    if (host.index_of(network.interface) != 0)
      return Error(Code::exists, "the host has an interface '{}' already", printable(network.interface));
  }
  if (const auto mtu = wanted.options.find(kMtu); mtu != wanted.options.end()) {
    const auto number = parse_number(mtu->second);
    if (!number || *number < 576 || *number > 65535)
      return Error(Code::invalid, "--opt {}: '{}' is no number from 576 to 65535", kMtu, printable(mtu->second));
    network.mtu = static_cast<unsigned>(*number);
  }
  if (home.find(wanted.name))
    return Error(Code::exists, "network with name {} already exists", wanted.name)
        .hint(fmt::format("`kist network rm {}`, or another name", wanted.name));
  network.ranges = TRY(ranges_of(wanted.ranges));
  TRY(check_free(home, host, network.ranges));
  if (network.range(false) == nullptr) {
    const auto taken = TRY(taken_subnets(home, host));
    const Range range = TRY(free_range(taken));
    network.ranges.insert(network.ranges.begin(), range);
  }
  if (wanted.wants_v6 && network.range(true) == nullptr) network.ranges.push_back(local_range_v6(network.id));
  // What is read back is what will be used.
  TRY(decode_network(encode(network)));
  TRY(home.make(network));
  return network;
}

Result<uint32_t> bring_network_up(const Home& home, const Netlink& host, const Network& network) {
  uint32_t index = host.index_of(network.interface);
  const bool known = os::exists(os::join(home.live_of(network.id), "network"));
  if (index != 0 && known && !is_changing(home) && has_rules()) return index;
  TRY(begin_change(home));
  TRY(make_live_folder(home, network));
  // Whoever was killed while making it left one that is down; with nobody on it, it is made anew.
  if (index != 0 && members(home, network.id).empty()) {
    TRY(remove_link(host, network.interface));
    index = 0;
  }
  if (index == 0) {
    BridgeLink bridge{.name = network.interface, .addresses = {}, .mtu = network.mtu};
    for (const Range& range : network.ranges) bridge.addresses.push_back({range.gateway, range.subnet.bits()});
    TRY(make_bridge(host, bridge));
  }
  const auto rest = [&]() -> Result<void> {
    TRY(allow_forwarding(network));
    return load_rules(home);
  }();
  if (!rest) {
    if (index == 0) (void)remove_link(host, network.interface).has_value();
    if (members(home, network.id).empty()) (void)os::remove_tree(home.live_of(network.id)).has_value();
    return rest.error();
  }
  return host.index_of(network.interface);
}

Result<void> take_network_down(const Home& home, const Netlink& host, const Network& network) {
  TRY(begin_change(home));
  TRY(remove_link(host, network.interface));
  TRY(os::remove_tree(home.live_of(network.id)));
  return load_rules(home);
}

Result<void> reconcile(const Home& home) {
  if (!os::exists(home.live())) return {};
  const Netlink host = TRY(Netlink::open());
  if (!may_be_stale(home, host)) return {};
  const os::FileLock lock = TRY(home.lock());
  return reconcile_locked(home, host);
}

Result<void> reconcile_locked(const Home& home, const Netlink& host) {
  if (!may_be_stale(home, host)) return {};
  bool names = false;
  const bool was_changing = is_changing(home);
  bool rules = was_changing;
  const auto all = live_networks(home);
  if (!rules && !all.empty()) rules = !has_rules();
  if (!rules)
    for (const LiveNetwork& live : all)
      for (const Endpoint& member : live.members) rules = rules || (!member.ports.empty() && is_stale(host, member));
  if (rules) TRY(begin_change(home));
  std::vector<Endpoint> gone;
  for (const LiveNetwork& live : all)
    for (const Endpoint& member : live.members) {
      if (!is_stale(host, member)) continue;
      if (!member.ports.empty()) gone.push_back(member);
      remove_member(home, member);
      names = true;
    }
  for (const LiveNetwork& live : live_networks(home)) {
    if (!is_left_over(host, live, was_changing)) continue;
    TRY(begin_change(home));
    rules = true;
    TRY(remove_link(host, live.network.interface));
    TRY(os::remove_tree(home.live_of(live.network.id)));
  }
  if (rules) TRY(load_rules(home));
  forget_flows_of(gone);
  if (names) write_names(home);
  return {};
}

}  // namespace kist::networks

#include "networks/links.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "os/files.h"

namespace kist::networks {
namespace {

constexpr uint16_t kMake = NLM_F_CREATE | NLM_F_EXCL;

ifinfomsg link(uint32_t index = 0, unsigned flags = 0) {
  ifinfomsg out = {};
  out.ifi_index = static_cast<int>(index);
  out.ifi_flags = flags;
  out.ifi_change = flags;
  return out;
}

std::string_view raw(const std::array<uint8_t, 6>& mac) { return {reinterpret_cast<const char*>(mac.data()), mac.size()}; }

void add_address_bytes(Batch& batch, uint16_t attribute, const Address& address) {
  const auto bytes = address.bytes();
  batch.bytes(attribute, {reinterpret_cast<const char*>(bytes.data()), address.size()});
}

void add_address(Batch& batch, uint32_t index, const Held& held) {
  ifaddrmsg fixed = {};
  fixed.ifa_family = held.address.is_v6() ? AF_INET6 : AF_INET;
  fixed.ifa_prefixlen = static_cast<uint8_t>(held.bits);
  // Nobody else has it: it is handed out once. Waiting to hear from others would take seconds.
  if (held.address.is_v6()) fixed.ifa_flags = IFA_F_NODAD;
  fixed.ifa_index = index;
  batch.begin(RTM_NEWADDR, kMake, fixed, fmt::format("give an interface the address {}", held.address.text()));
  add_address_bytes(batch, IFA_LOCAL, held.address);
  add_address_bytes(batch, IFA_ADDRESS, held.address);
  if (!held.address.is_v6() && held.bits < 31)
    add_address_bytes(batch, IFA_BROADCAST, Subnet::of(held.address, held.bits).last());
}

// No link-local addresses by themselves: what is not asked for is not there, and they would come a
// second late, after the kernel has looked for others who have them.
void keep_quiet(Batch& batch, uint32_t index, const std::string& name) {
  batch.begin(RTM_SETLINK, 0, link(index), fmt::format("set up the interface '{}'", name));
  batch.open(IFLA_AF_SPEC);
  batch.open(AF_INET6);
  batch.byte(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  batch.close();
  batch.close();
}

bool has_any_v6(const std::vector<Held>& all) {
  return std::any_of(all.begin(), all.end(), [](const Held& held) { return held.address.is_v6(); });
}

// Neighbours are asked for from one, when what is sent comes from elsewhere (RFC 4291, appendix A).
Held link_local(const std::array<uint8_t, 6>& mac) {
  Number value = 0xfe80;
  value <<= 48;
  for (const unsigned byte : {mac[0] ^ 2u, mac[1] + 0u, mac[2] + 0u, 0xffu, 0xfeu, mac[3] + 0u, mac[4] + 0u, mac[5] + 0u})
    value = value << 8 | byte;
  return {Address::of(value, true), 64};
}

void bring_up(Batch& batch, uint32_t index, const std::string& name) {
  batch.begin(RTM_SETLINK, 0, link(index, IFF_UP), fmt::format("bring up the interface '{}'", name));
}

Result<void> tell_bridge(const Netlink& host, const Cable& cable, uint32_t index) {
  Batch batch;
  batch.begin(RTM_GETLINK, 0, link(index), fmt::format("look at the interface '{}'", cable.outside));
  ndmsg where = {};
  where.ndm_family = AF_BRIDGE;
  where.ndm_ifindex = static_cast<int>(index);
  where.ndm_state = NUD_REACHABLE;
  where.ndm_flags = NTF_MASTER;
  batch.begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, where, fmt::format("tell the bridge of '{}'", cable.outside));
  batch.bytes(NDA_LLADDR, raw(cable.mac));
  return host.send(batch);
}

bool has_v6() { return os::exists("/proc/sys/net/ipv6"); }

}  // namespace

Result<void> make_bridge(const Netlink& host, const BridgeLink& bridge) {
  Batch make;
  make.begin(RTM_NEWLINK, kMake, link(), fmt::format("make the bridge '{}'", bridge.name));
  make.text(IFLA_IFNAME, bridge.name);
  if (bridge.mtu != 0) make.number(IFLA_MTU, bridge.mtu);
  // A fixed address, or the bridge would take the lowest of its members' and change with them.
  const auto mac = mac_of(bridge.addresses.front().address);
  make.bytes(IFLA_ADDRESS, raw(mac));
  make.open(IFLA_LINKINFO);
  make.text(IFLA_INFO_KIND, "bridge");
  make.close();
  TRY(host.send(make));
  const uint32_t index = host.index_of(bridge.name);
  Batch rest;
  if (has_v6()) keep_quiet(rest, index, bridge.name);
  for (const Held& held : bridge.addresses) add_address(rest, index, held);
  if (has_any_v6(bridge.addresses)) add_address(rest, index, link_local(mac));
  bring_up(rest, index, bridge.name);
  auto done = host.send(rest);
  if (!done) (void)remove_link(host, bridge.name).has_value();
  return done;
}

// IPv4 has `route_localnet` for this. Here routes to the loopback must name the interface that the packet
// came by (rt6_need_strict), so a second one names the bridge. It never comes before the kernel's own, whose
// metric is 0; each bridge has a metric of its own, because one replaces another of the same.
Result<void> lead_loopback_v6(const Netlink& host, const std::string& bridge) {
  constexpr uint32_t kMetric = 1u << 20;
  const uint32_t index = host.index_of(bridge);
  rtmsg route = {};
  route.rtm_family = AF_INET6;
  route.rtm_dst_len = 128;
  route.rtm_table = RT_TABLE_LOCAL;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_HOST;
  route.rtm_type = RTN_LOCAL;
  Batch batch;
  batch.begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, fmt::format("lead answers to [::1] from '{}'", bridge));
  add_address_bytes(batch, RTA_DST, Address::of(1, true));
  batch.number(RTA_OIF, index);
  batch.number(RTA_PRIORITY, kMetric + index);
  return host.send(batch);
}

Result<void> remove_link(const Netlink& host, const std::string& name) {
  const uint32_t index = host.index_of(name);
  if (index == 0) return {};
  Batch batch;
  batch.begin(RTM_DELLINK, 0, link(index), fmt::format("remove the interface '{}'", name));
  auto done = host.send(batch);
  if (!done && host.index_of(name) == 0) return {};
  return done;
}

Result<void> make_cable(const Netlink& host, const Cable& cable) {
  Batch batch;
  batch.begin(RTM_NEWLINK, kMake, link(), fmt::format("make the interface '{}'", cable.outside));
  batch.text(IFLA_IFNAME, cable.outside);
  if (cable.mtu != 0) batch.number(IFLA_MTU, cable.mtu);
  batch.number(IFLA_MASTER, cable.bridge);
  batch.open(IFLA_LINKINFO);
  batch.text(IFLA_INFO_KIND, "veth");
  batch.open(IFLA_INFO_DATA);
  // Made where it belongs: moving an interface to another namespace takes milliseconds.
  const ifinfomsg peer = link();
  batch.open(VETH_INFO_PEER, {reinterpret_cast<const char*>(&peer), sizeof peer});
  batch.text(IFLA_IFNAME, cable.inside);
  batch.bytes(IFLA_ADDRESS, raw(cable.mac));
  if (cable.mtu != 0) batch.number(IFLA_MTU, cable.mtu);
  batch.number(IFLA_NET_NS_FD, static_cast<uint32_t>(cable.space.get()));
  batch.close();
  batch.close();
  batch.close();
  return host.send(batch);
}

Result<void> raise_cable(const Netlink& host, const Cable& cable) {
  const uint32_t index = host.index_of(cable.outside);
  Batch batch;
  if (has_v6()) keep_quiet(batch, index, cable.outside);
  if (cable.reflects) {
    // Where bridges are filtered (br_netfilter), what is sent back to where it came from is dropped else.
    batch.begin(RTM_NEWLINK, 0, link(index), fmt::format("let '{}' send back", cable.outside));
    batch.open(IFLA_LINKINFO);
    batch.text(IFLA_INFO_SLAVE_KIND, "bridge");
    batch.open(IFLA_INFO_SLAVE_DATA);
    batch.byte(IFLA_BRPORT_MODE, 1);
    batch.close();
    batch.close();
  }
  bring_up(batch, index, cable.outside);
  TRY(host.send(batch));
  // That the cable has two ends now reaches the bridge by a worker of the kernel, and until then it
  // forwards nothing: the first packet would be lost, and asked for again a second later. To be asked
  // about the interface makes the kernel (since 6.9) tell the bridge first; else the worker is waited for.
  constexpr int kMostTries = 200;
  constexpr useconds_t kPauseUs = 500;
  for (int tries = 1;; ++tries) {
    auto told = tell_bridge(host, cable, index);
    if (told || told.error().code() != Code::denied || tries == kMostTries) return told;
    ::usleep(kPauseUs);
  }
}

Result<void> raise_inside(const Netlink& inside, const std::vector<Inside>& interfaces) {
  constexpr uint32_t kLoopback = 1;  // Always the first of a namespace.
  Batch batch;
  bring_up(batch, kLoopback, "lo");
  for (const Inside& one : interfaces) {
    const uint32_t index = inside.index_of(one.name);
    if (has_v6()) keep_quiet(batch, index, one.name);
    for (const Held& held : one.addresses) add_address(batch, index, held);
    if (has_any_v6(one.addresses)) add_address(batch, index, link_local(one.mac));
    bring_up(batch, index, one.name);
    for (const Address& gateway : one.gateways) {
      rtmsg route = {};
      route.rtm_family = gateway.is_v6() ? AF_INET6 : AF_INET;
      route.rtm_table = RT_TABLE_MAIN;
      route.rtm_protocol = RTPROT_BOOT;
      route.rtm_scope = RT_SCOPE_UNIVERSE;
      route.rtm_type = RTN_UNICAST;
      batch.begin(RTM_NEWROUTE, kMake, route, fmt::format("make {} the default gateway", gateway.text()));
      add_address_bytes(batch, RTA_GATEWAY, gateway);
      batch.number(RTA_OIF, index);
    }
  }
  return inside.send(batch);
}

Result<std::vector<Subnet>> routed_subnets(const Netlink& host) {
  std::vector<Subnet> out;
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg fixed = {};
    fixed.rtm_family = static_cast<uint8_t>(family);
    Batch batch;
    batch.begin(RTM_GETROUTE, NLM_F_DUMP, fixed, "list the routes");
    TRY(host.dump(batch, [&](const Answer& answer) {
      rtmsg route;
      if (!answer.fixed(route) || route.rtm_dst_len == 0) return;
      const std::string_view bytes = answer.attribute(RTA_DST, sizeof route);
      const bool is_v6 = route.rtm_family == AF_INET6;
      if (bytes.size() != (is_v6 ? 16u : 4u)) return;
      Number value = 0;
      for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
      out.push_back(Subnet::of(Address::of(value, is_v6), route.rtm_dst_len));
    }));
  }
  return out;
}

Result<Traffic> traffic_of(pid_t pid) {
  const std::string text = TRY(os::read_file(fmt::format("/proc/{}/net/dev", pid), 1 << 20));
  Traffic out;
  for (const std::string_view line : lines(text)) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || trim(line.substr(0, colon)) == "lo") continue;
    std::vector<uint64_t> numbers;
    for (const std::string_view word : split(line.substr(colon + 1), ' '))
      if (!word.empty()) numbers.push_back(parse_number(word).value_or(0));
    constexpr size_t kSent = 8;  // Eight counters of what came in stand before.
    if (numbers.size() <= kSent) continue;
    out.received_bytes += numbers[0];
    out.sent_bytes += numbers[kSent];
  }
  return out;
}

}  // namespace kist::networks

// Interfaces, addresses and routes: what a network is made of in the kernel.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "networks/address.h"
#include "networks/netlink.h"

namespace kist::networks {

/// An address of an interface, with the size of its subnet.
struct Held {
  Address address;
  unsigned bits;
};

struct BridgeLink {
  std::string name;
  std::vector<Held> addresses;  // The gateways of its network.
  unsigned mtu = 0;             // 0: the kernel's.
};
/// Makes it, gives it its addresses and brings it up. Errors: exists, denied, unsupported.
Result<void> make_bridge(const Netlink& host, const BridgeLink& bridge);
/// What is not there is no error. `what` is for messages.
Result<void> remove_link(const Netlink& host, const std::string& name);

/// Answers to ::1 that come from this bridge are the host's own: what it sent from there to a port of a container
/// comes back so. The kernel itself drops whatever else a bridge brings for ::1. Goes with the bridge; twice is fine.
Result<void> lead_loopback_v6(const Netlink& host, const std::string& bridge);

/// A cable from a bridge into a container.
struct Cable {
  std::string outside;    // Its name on the host.
  uint32_t bridge = 0;    // Index.
  const os::Fd& space;    // The container's network namespace.
  std::string inside;     // "eth0"
  std::array<uint8_t, 6> mac;
  unsigned mtu = 0;
  bool reflects = false;  // What the container sends may come back to it: a port of its own on the host.
};
/// Both ends are down.
Result<void> make_cable(const Netlink& host, const Cable& cable);
/// Brings up the host's end, and tells the bridge where the container is now: another may have had
/// its address before.
Result<void> raise_cable(const Netlink& host, const Cable& cable);

struct Inside {
  std::string name;
  std::vector<Held> addresses;
  std::vector<Address> gateways;  // Default routes; at most one of a family.
  std::array<uint8_t, 6> mac{};   // For its link-local address, if one of `addresses` is IPv6.
};
/// `inside`: opened in the container's namespace. Loopback comes up too.
Result<void> raise_inside(const Netlink& inside, const std::vector<Inside>& interfaces);

/// All that the host has a route to, but the default ones.
Result<std::vector<Subnet>> routed_subnets(const Netlink& host);

/// "10.0.0.2/24" addresses of an interface: for connect, where the container exists already.
struct Traffic {
  uint64_t received_bytes = 0, sent_bytes = 0;
};
/// Of all interfaces but loopback, in the namespace of a process. Errors: not_found.
Result<Traffic> traffic_of(pid_t pid);

}  // namespace kist::networks

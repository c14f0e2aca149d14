// Networks in the kernel: bringing one up, taking it down, and clearing up after those who could not.
#pragma once

#include "networks/rules.h"

namespace kist::networks {

/// The default network's record, made on first use. Under Home::lock().
Result<Network> default_network(const Home& home, const Netlink& host);
/// Gives a network what it has not asked for: subnets, the name of its bridge, and takes its name.
/// Errors: exists, invalid (its subnet overlaps another network's, or one the host has a route to).
struct Creation {
  std::string name;
  RangeRequest ranges;
  bool wants_v6 = false;
  bool internal = false;
  bool attachable = false;
  std::map<std::string, std::string> labels, options;
};
Result<Network> create_network(const Home& home, const Creation& wanted);

/// The index of its bridge, which is there afterwards, with the rules loaded. Costs a few microseconds
/// when all is as it should be. Under Home::lock(), in the host's namespace.
Result<uint32_t> bring_network_up(const Home& home, const Netlink& host, const Network& network);
/// Its bridge and rules go. Nobody may be on it. Under Home::lock().
Result<void> take_network_down(const Home& home, const Netlink& host, const Network& network);

/// Removes what containers that were killed have left: leases, ports, names. Takes Home::lock() itself,
/// and only if there may be something. A microsecond for each container.
Result<void> reconcile(const Home& home);
/// The same under a lock that is held already.
Result<void> reconcile_locked(const Home& home, const Netlink& host);

/// Writes "1" or so; what has that value already is not written. Errors: denied.
Result<void> set_sysctl(const std::string& path, std::string_view value);

}  // namespace kist::networks

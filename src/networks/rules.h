// Our rules of nftables: one table, `inet kist`, replaced as a whole in one transaction. Nothing of
// other programs is looked at or touched.
#pragma once

#include <string>
#include <vector>

#include "networks/endpoint.h"

namespace kist::networks {

/// A network whose bridge is up, and who is on it.
struct LiveNetwork {
  Network network;
  std::vector<Endpoint> members;
};

/// Whether ports at [::1] can be led into a container: not where bridged IPv6 is filtered (br_netfilter). There
/// the address of an answer is translated back to ::1 while it is still in the bridge, and what comes from
/// outside with that address is dropped.
bool leads_loopback_v6();

/// What `nft -f -` is given; pure. Without networks it removes the table. `loopback_v6`: leads_loopback_v6().
std::string rules_text(const std::vector<LiveNetwork>& networks, bool loopback_v6);

/// All that are up. Under Home::lock().
std::vector<LiveNetwork> live_networks(const Home& home);

/// Whether the kernel has our table: it has not after a reboot, or when somebody flushed all.
bool has_rules();

/// Marks that rules and members are going to differ, so that whoever comes after a crash loads them.
Result<void> begin_change(const Home& home);
/// Makes the kernel's rules those of the members, if they are not; ends the change. Starts `nft` only if
/// there is something to do. Under Home::lock(), in the host's network namespace.
/// Errors: not_found (no nft), denied, what nft said.
Result<void> load_rules(const Home& home);
bool is_changing(const Home& home);

}  // namespace kist::networks

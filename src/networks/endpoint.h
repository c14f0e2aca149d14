// A container on a network: what is known of it while it is there.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

#include "networks/home.h"
#include "networks/netlink.h"

namespace kist::networks {

/// A port of the host that leads into a container.
struct PublishedPort {
  std::string host_ip;  // Empty: all addresses, of both families.
  uint16_t host_port = 0;
  uint16_t container_port = 0;
  std::string protocol;  // "tcp", "udp"
  bool operator==(const PublishedPort&) const = default;
};

struct Endpoint {
  std::string container;  // Its id.
  std::string name;       // Of the container, as it was called when it came.
  std::string hostname;
  std::string network;    // Id.
  std::string network_name;
  std::vector<std::string> aliases;  // That were asked for.
  std::string folder;     // The container's own, with `hosts`.
  pid_t keeper = 0;       // Looks after the container; see is_stale().
  uint64_t keeper_start = 0;
  std::string outside;    // Its interface on the host; names the file too.
  std::string inside;     // "eth0"
  std::string mac;
  std::string ipv4, gateway4;  // Empty: none.
  std::string ipv6, gateway6;
  unsigned bits4 = 0, bits6 = 0;
  std::vector<std::string> gateway_names;  // By which it calls the host.
  std::vector<std::string> links;  // "CONTAINER-ID:ALIAS": how it alone calls others of the network.
  std::vector<PublishedPort> ports;  // Those that lead to this address.

  /// By which others of the network find it.
  std::vector<std::string> names() const;
};

std::string encode(const Endpoint& endpoint);
/// Errors: corrupt.
Result<Endpoint> decode_endpoint(std::string_view json);

/// The name on the host of the interface of a container's n-th network, n below 16.
std::string outside_name(std::string_view container_id, unsigned number);

/// Of a network that is up. Those that cannot be read are left out. The caller need not hold the lock.
std::vector<Endpoint> members(const Home& home, std::string_view network_id);
/// Of all networks that are up, of one container, by their number.
std::vector<Endpoint> endpoints_of(const Home& home, std::string_view container_id);
/// Written and removed under Home::lock().
Result<void> write_member(const Home& home, const Endpoint& endpoint);
void remove_member(const Home& home, const Endpoint& endpoint);
/// Takes an address for a container. Errors: exists (somebody has it, and who).
Result<void> take_lease(const Home& home, std::string_view network_id, const Address& address,
                        const std::string& container_id);
bool is_leased(const Home& home, std::string_view network_id, const Address& address);

/// Neither its interface is there any more, nor whoever was about to make it.
bool is_stale(const Netlink& host, const Endpoint& endpoint);
/// Field 22 of /proc/PID/stat; 0 when there is no such process.
uint64_t start_of(pid_t pid);

}  // namespace kist::networks

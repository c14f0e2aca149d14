// Putting a container onto its networks, and taking it off.
#pragma once

#include <string>
#include <vector>

#include "networks/endpoint.h"
#include "networks/ports.h"

namespace kist::networks {

struct NetworkWish {
  std::string name;  // Or id.
  std::vector<std::string> aliases;
  std::string ipv4, ipv6, mac;  // Empty: any.
};

struct AttachRequest {
  std::string container;  // Its id.
  std::string name, hostname;
  std::string folder;  // The container's own, with `hosts`.
  std::vector<NetworkWish> networks;
  std::vector<std::string> gateway_names;  // --add-host NAME:host-gateway
  std::vector<std::string> links;  // "CONTAINER-ID:ALIAS"
  std::vector<PublishedPort> ports;
  std::vector<Endpoint> before;  // What it had when it ran last: taken again where it is free.
};

/// A network namespace with all that was asked for in it; no process is in it yet. The ports are the
/// container's for as long as this lives, whatever becomes of its rules.
struct Attachment {
  os::Fd space;
  std::vector<Endpoint> endpoints;
  std::vector<os::Fd> port_sockets;
  bool empty() const { return !space.is_open(); }
};

/// This process becomes the keeper of the endpoints. One thread only; it is in the host's network
/// namespace before and after. `names`: written afterwards by write_names(), once there is a hosts file.
/// Errors: not_found (no such network), exists (a port, an address), invalid, unavailable, denied.
Result<Attachment> attach(const Home& home, const AttachRequest& request);
/// What is left of it: leases, rules, names. Interfaces go with their namespace.
void detach(const Home& home, const std::vector<Endpoint>& endpoints);

/// One more network for a container that runs; `pid` is its first process.
Result<Endpoint> connect(const Home& home, const AttachRequest& request, const NetworkWish& wish, pid_t pid);
Result<void> disconnect(const Home& home, const Endpoint& endpoint, pid_t pid);

/// While this lives, the process is in another network namespace.
class Inhabited {
 public:
  static Result<Inhabited> enter(const os::Fd& space);
  Inhabited(Inhabited&& other) noexcept : before_(std::move(other.before_)) {}
  Inhabited& operator=(Inhabited&&) = delete;
  ~Inhabited();

 private:
  explicit Inhabited(os::Fd before) : before_(std::move(before)) {}
  os::Fd before_;
};

}  // namespace kist::networks

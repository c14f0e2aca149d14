// Where networks are kept.
//
//   $KIST_HOME/networks/ids/<id>        the network's record (JSON)
//   $KIST_HOME/networks/names/<name>    a link whose text is the id: making it takes the name
//   LIVE/                               in memory: what is gone after a reboot is gone here too
//     lock                              held by whoever changes something below, or in the kernel
//     changed                           there while rules and members may differ (rules.h)
//     links                             there once a container was linked to another
//     rules                             what was loaded last
//     <id>/network                      a copy of the record: its bridge is, or was, up
//     <id>/last4, last6                 addresses that were given out last
//     <id>/leases/<address>             a link whose text is the container's id
//     <id>/members/<interface>          a container on it (endpoint.h), by its interface on the host
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "networks/network.h"
#include "os/files.h"

namespace kist::networks {

/// Of one store; `live` is shared by all stores of a user, as the kernel is.
class Home {
 public:
  Home(const std::string& kist_home, const std::string& memory_folder);

  const std::string& live() const { return live_; }
  std::string live_of(std::string_view id) const { return os::join(live_, id); }

  /// Whoever changes networks or their members holds this.
  Result<os::FileLock> lock() const;

  /// Takes network.name and writes the record. Errors: exists ("network with name … already exists").
  Result<void> make(const Network& network) const;
  Result<void> remove(const Network& network) const;
  /// By name, id, or the beginning of an id that fits one only. Errors: not_found, invalid.
  Result<Network> find(std::string_view name_or_id) const;
  /// By name; those that cannot be read are left out.
  Result<std::vector<Network>> all() const;

 private:
  std::string folder_;
  std::string live_;
};

/// 64 hexadecimal digits.
Result<std::string> new_network_id();

}  // namespace kist::networks

// The network of one container, from before its first process to after its last.
#pragma once

#include <optional>
#include <string>

#include "containers/place.h"
#include "containers/record.h"
#include "containers/spec_of.h"
#include "networks/attach.h"
#include "networks/name_server.h"

namespace kist::containers {

class ContainerNetwork {
 public:
  /// `folder`: the container's own. `remembers`: it may be started again, and gets the same addresses.
  ContainerNetwork(networks::Home home, Place place, std::string folder, bool remembers)
      : home_(std::move(home)), place_(std::move(place)), folder_(std::move(folder)), remembers_(remembers) {}

  /// Makes what has to be there before the first process, and writes into `host` what of it the
  /// specification needs. Errors: those of networks::attach(), not_found (container:ID does not run).
  Result<void> prepare(const Record& record, SpecHost& host);
  /// While this lives, a process that is made is in the container's network.
  Result<std::optional<networks::Inhabited>> enter() const;
  /// Whether serve() is needed.
  static bool is_served(const Record& record);
  /// A plain user's network, once there are namespaces: bundle::CreateOptions::on_namespaces. Errors: those of serve_user_network().
  Result<void> serve(const Record& record, pid_t pid);
  /// After its end, or when it could not start. Twice is fine.
  void ended();
  /// Whether it has a name server of its own: on networks that somebody made, as docker. One that is itself a
  /// name server for others, by its ports, has not: it may want that port at all of its addresses.
  static bool has_name_server(const Record& record);
  /// The name server's, as Machine has them.
  void add_to(std::vector<pollfd>& events) const;
  void look_at(const std::vector<pollfd>& events, size_t first);
  int64_t deadline() const;
  /// As `ps` shows them.
  std::string ports(const Record& record) const;

 private:
  void remember() const;
  Result<void> share(const Record& record, SpecHost& host) const;
  networks::Home home_;
  Place place_;
  std::string folder_;
  bool remembers_;
  networks::Attachment attachment_;
  std::optional<networks::NameServer> names_;
  os::Fd ending_;  // Of a plain user's network.
};

/// What a running container has on its networks; of a plain user's the ports alone are known.
std::vector<networks::Endpoint> endpoints_of(const networks::Home& home, const Place& place, const Record& record);

}  // namespace kist::containers

// The network of a plain user's container: a program beside it that passes on what it sends and gets.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "networks/ports.h"

namespace kist::networks {

struct UserNetworkRequest {
  std::string program;  // "pasta": it, or else slirp4netns; "slirp4netns".
  pid_t process = 0;    // Whose network and user namespaces it serves; it dies with this process.
  std::string folder;   // Of the container: for a pid file and a socket.
  std::vector<PublishedPort> ports;
  bool reaches_host = false;  // The host's 127.0.0.1, at the address of the gateway.
};

struct UserNetwork {
  std::string program;               // That is used.
  std::vector<PublishedPort> ports;  // With those that were chosen.
  os::Fd ending;                     // At its end when the program is gone, and its ports are free.
};

/// Returns when the network is there. A process of ours stays beside the program and ends it with
/// the container, whoever of us was killed before. One thread only.
/// Errors: not_found (neither program is installed), denied (/dev/net/tun), exists (a port is taken),
/// what the program said.
Result<UserNetwork> serve_user_network(const UserNetworkRequest& request);

/// Whether it can work here; cheap. Errors: as above.
Result<void> check_user_network(const std::string& program);

}  // namespace kist::networks

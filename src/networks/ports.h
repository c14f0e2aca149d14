// Ports of the host: what -p says, and whether they are free.
#pragma once

#include <string>
#include <vector>

#include "networks/endpoint.h"
#include "os/fd.h"

namespace kist::networks {

/// As it was asked for: a host_port of 0 is any that is free.
/// "8080:80", "80", "127.0.0.1:8080:80/udp", "[::1]:8080:80", "8000-8005:80-85", "127.0.0.1::80".
/// Errors: invalid.
Result<std::vector<PublishedPort>> parse_publish(std::string_view text);
/// "80", "80-85/udp": as they are kept, "80/tcp". Errors: invalid.
Result<std::vector<std::string>> parse_expose(std::string_view text);

/// Ports of the host that are taken for as long as this lives: nobody else can listen there, and a
/// connection that no rule leads elsewhere is refused.
struct TakenPorts {
  std::vector<PublishedPort> ports;  // None of port 0.
  std::vector<os::Fd> sockets;
};
/// `wanted` in order; `others` are those of other containers. `before`: chosen the last time, and taken
/// again where they are free. In the host's network namespace.
/// Errors: exists ("port is already allocated", "address already in use").
Result<TakenPorts> take_ports(const std::vector<PublishedPort>& wanted, const std::vector<PublishedPort>& others,
                              const std::vector<PublishedPort>& before);

/// As docker's ps: "0.0.0.0:8080->80/tcp, :::8080->80/tcp". `v4`, `v6`: what the container has.
std::string ports_text(const std::vector<PublishedPort>& ports, const std::vector<std::string>& exposed, bool v6);

}  // namespace kist::networks

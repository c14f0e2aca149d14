// An address and a port as sockets take them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "networks/address.h"

namespace kist::networks {

/// Returns the size of what was written.
inline socklen_t socket_address(const Address& address, uint16_t port, sockaddr_storage& out) {
  out = {};
  const auto bytes = address.bytes();
  if (address.is_v6()) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::copy_n(bytes.begin(), 16, v6.sin6_addr.s6_addr);
    return sizeof v6;
  }
  auto& v4 = reinterpret_cast<sockaddr_in&>(out);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  std::memcpy(&v4.sin_addr, bytes.data(), 4);
  return sizeof v4;
}

}  // namespace kist::networks

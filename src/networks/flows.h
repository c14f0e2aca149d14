// What the kernel remembers of connections (conntrack): the first packet of one decides where all others
// go. Those of a container that is gone would keep going where it was.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "networks/endpoint.h"

namespace kist::networks {

/// One connection, addresses as bytes in the order of the network.
struct Flow {
  uint8_t protocol = 0;  // IPPROTO_UDP …
  std::string from, to;  // As its first packet had them.
  uint16_t port = 0;     // That `to` was asked for.
  std::string answers_from, answers_to;  // What answers have: others, where addresses are translated.
  bool is_answered = false;
};
/// `payload`: an answer of conntrack's to a dump, behind the fixed part. Nothing is taken for granted of it;
/// what has no addresses has none here.
Flow read_flow(std::string_view payload);

/// Whether it is of a container that has this endpoint, or had.
bool is_of(const Flow& flow, const Endpoint& endpoint);
/// Whether it came for a UDP port of the endpoint's before that was there, and so leads elsewhere: for a client
/// that keeps sending from one port (syslog, statsd) it would do so for ever.
bool is_astray(const Flow& flow, const Endpoint& endpoint);

/// Makes the kernel forget those of endpoints that are gone. In the host's network namespace. Without conntrack
/// there is nothing to forget, so that nothing fails.
void forget_flows_of(const std::vector<Endpoint>& gone);
/// The same for what came too early; after the rules were loaded.
void forget_flows_before(const std::vector<Endpoint>& come);

}  // namespace kist::networks

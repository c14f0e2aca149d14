// A network as it was asked for: written once when it is made (docs/formats/network.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "networks/address.h"

namespace kist::networks {

inline constexpr std::string_view kDefaultNetwork = "bridge";

/// One subnet; a network has at most one of each family.
struct Range {
  Subnet subnet;
  Address gateway;                // Of the bridge; inside of `subnet`.
  std::optional<Subnet> handout;  // Addresses are taken from here alone.
};

struct Network {
  std::string id;    // 64 hexadecimal digits.
  std::string name;
  int64_t created_ns = 0;
  std::string interface;  // Of the bridge on the host.
  std::vector<Range> ranges;
  bool internal = false;  // No way out, and none in.
  bool attachable = false;
  unsigned mtu = 0;  // 0: the kernel's.
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> options;

  const Range* range(bool is_v6) const;
  std::string short_id() const { return id.substr(0, 12); }
  bool is_default() const { return name == kDefaultNetwork; }
};

/// As JSON. Unknown fields are passed over. Errors: corrupt (what is wrong).
std::string encode(const Network& network);
Result<Network> decode_network(std::string_view json);

/// Letters, digits, and _ . - after the first; not one of the words of --network.
Result<void> check_network_name(std::string_view name);

/// What `network create` was given, checked against itself.
struct RangeRequest {
  std::vector<std::string> subnets, gateways, handouts;
};
/// Errors: invalid: no subnet for a gateway or a range, one outside of its subnet, two of a family,
/// a subnet too small, multicast or loopback.
Result<std::vector<Range>> ranges_of(const RangeRequest& request);

/// The subnet that a network gets when it asks for none: the first of ours that overlaps nothing.
/// Errors: unavailable.
Result<Range> free_range(const std::vector<Subnet>& taken);
/// A unique local /64 for a network.
Range local_range_v6(std::string_view network_id);

/// The next address for a container: the one after `last` that is not in `taken`, and neither the
/// network's own, the gateway's nor the broadcast address. Errors: unavailable (all are taken).
template <class IsTaken>
Result<Address> next_address(const Range& range, const std::optional<Address>& last, const IsTaken& is_taken);

/// The first and the last that may be handed out.
std::pair<Address, Address> bounds_of(const Range& range);
Error exhausted(const Range& range);

template <class IsTaken>
Result<Address> next_address(const Range& range, const std::optional<Address>& last, const IsTaken& is_taken) {
  const auto [first, end] = bounds_of(range);
  if (end < first) return exhausted(range);
  // More than anybody has containers; of a /64 not all are tried.
  constexpr uint64_t kMostTries = 1 << 17;
  const bool inside = last && last->is_v6() == first.is_v6() && *last >= first && *last < end;
  Number value = inside ? last->value() + 1 : first.value();
  const Number count = end.value() - first.value() + 1;
  for (uint64_t tries = 0; tries < count && tries < kMostTries; ++tries) {
    const Address candidate = Address::of(value, first.is_v6());
    if (candidate != range.gateway && !is_taken(candidate)) return candidate;
    value = value == end.value() ? first.value() : value + 1;
  }
  return exhausted(range);
}

}  // namespace kist::networks

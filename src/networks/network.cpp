#include "networks/network.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "format/json_fields.h"

namespace kist::networks {
namespace {

// As they are written: text.
struct RangeText {
  std::string subnet, gateway, handout;
};
struct NetworkText {
  std::string id, name, interface;
  int64_t created_ns = 0;
  std::vector<RangeText> ranges;
  bool internal = false, attachable = false;
  unsigned mtu = 0;
  std::map<std::string, std::string> labels, options;
};

template <class F>
void fields(F& f, RangeText& r) {
  f("subnet", r.subnet);
  f("gateway", r.gateway);
  f("ipRange", r.handout);
}

template <class F>
void fields(F& f, NetworkText& n) {
  f("id", n.id);
  f("name", n.name);
  f("interface", n.interface);
  f("createdNs", n.created_ns);
  f("ranges", n.ranges);
  f("internal", n.internal);
  f("attachable", n.attachable);
  f("mtu", n.mtu);
  f("labels", n.labels);
  f("options", n.options);
}

constexpr int kVersion = 1;
constexpr size_t kMaxBytes = 1 << 20;

// Where networks come from that ask for no subnet: each 4093 containers.
constexpr unsigned kPoolBits = 20;
constexpr const char* kPools[] = {"10.92.0.0/14", "172.16.0.0/12", "192.168.0.0/16"};

bool is_hexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<Range> read_range(const RangeText& text) {
  const Subnet subnet = TRY(Subnet::parse(text.subnet));
  const Address gateway = TRY(Address::parse(text.gateway));
  Range out{subnet, gateway, {}};
  if (!text.handout.empty()) out.handout = TRY(Subnet::parse(text.handout));
  if (!out.subnet.contains(out.gateway))
    return Error(Code::invalid, "the gateway {} is outside of {}", text.gateway, text.subnet);
  return out;
}

// An interface's name is part of rules and paths.
bool is_interface_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() < 16 && name[0] != '.' && name[0] != '-' && std::all_of(name.begin(), name.end(), good);
}

Result<Subnet> checked_subnet(const std::string& text) {
  const Subnet subnet = TRY(Subnet::parse(text), "--subnet");
  const unsigned most = subnet.is_v6() ? 126 : 30;
  const unsigned least = subnet.is_v6() ? 16 : 8;
  if (subnet.bits() > most || subnet.bits() < least)
    return Error(Code::invalid, "--subnet: '{}' has a prefix of {} bits, want {} to {}", subnet.text(), subnet.bits(),
                 least, most);
  const auto top = static_cast<unsigned>(subnet.base().value() >> (subnet.base().bits() - 8));
  if (subnet.is_v6() ? top == 0xff || top == 0 : top >= 224 || top == 127 || top == 0)
    return Error(Code::invalid, "--subnet: '{}' cannot be a network's: loopback and multicast are others", subnet.text());
  return subnet;
}

}  // namespace

const Range* Network::range(bool is_v6) const {
  for (const Range& one : ranges)
    if (one.subnet.is_v6() == is_v6) return &one;
  return nullptr;
}

std::string encode(const Network& network) {
  NetworkText text{network.id, network.name, network.interface, network.created_ns, {}, network.internal,
                   network.attachable, network.mtu, network.labels, network.options};
  for (const Range& one : network.ranges)
    text.ranges.push_back({one.subnet.text(), one.gateway.text(), one.handout ? one.handout->text() : ""});
  format::JsonWriter writer([](auto& f, auto& value) { fields(f, value); });
  boost::json::object root = writer.object_of(text);
  root["version"] = kVersion;
  return boost::json::serialize(root) + "\n";
}

Result<Network> decode_network(std::string_view json) {
  const auto root = TRY(format::parse_object(json, kMaxBytes, kVersion), "the network's record");
  NetworkText text;
  format::JsonReader reader([](auto& f, auto& value) { fields(f, value); });
  reader.read(root, text);
  if (!reader.wrong().empty())
    return Error(Code::corrupt, "the network's record: {} has the wrong type", reader.wrong());
  if (text.id.size() != 64 || !is_hexadecimal(text.id)) return Error(Code::corrupt, "the network's record: no id");
  if (!is_interface_name(text.interface))
    return Error(Code::corrupt, "the network's record: '{}' is no name of an interface", printable(text.interface));
  if (const auto good = check_network_name(text.name); !good && text.name != kDefaultNetwork) return good.error();
  Network out{text.id, text.name, text.created_ns, text.interface, {}, text.internal, text.attachable, text.mtu,
              text.labels, text.options};
  if (text.ranges.empty() || text.ranges.size() > 2) return Error(Code::corrupt, "the network's record: no ranges");
  for (const RangeText& one : text.ranges) {
    const Range range = TRY(read_range(one), "the network's record");
    out.ranges.push_back(range);
  }
  return out;
}

Result<void> check_network_name(std::string_view name) {
  constexpr std::string_view kWords[] = {"bridge", "host", "none", "default", "pasta", "slirp4netns", "container", "private"};
  if (std::find(std::begin(kWords), std::end(kWords), name) != std::end(kWords))
    return Error(Code::invalid, "operation is not permitted on predefined {} network", name);
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  constexpr size_t kMaxNameBytes = 128;
  if (!name.empty() && name.size() <= kMaxNameBytes && plain(name[0]) &&
      std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '_' || c == '.' || c == '-'; }))
    return {};
  return Error(Code::invalid, "'{}' is no network's name, want letters, digits, and '_', '.' or '-' after the first",
               printable(name));
}

Result<std::vector<Range>> ranges_of(const RangeRequest& request) {
  std::vector<Range> out;
  for (const std::string& text : request.subnets) {
    const Subnet subnet = TRY(checked_subnet(text));
    for (const Range& other : out)
      if (other.subnet.is_v6() == subnet.is_v6())
        return Error(Code::unsupported, "--subnet: {} and {} are of the same family; a network has one of each",
                     other.subnet.text(), subnet.text());
    out.push_back({subnet, Address::of(subnet.base().value() + 1, subnet.is_v6()), {}});
  }
  const auto owner_of = [&](const Address& address) -> Range* {
    for (Range& one : out)
      if (one.subnet.contains(address)) return &one;
    return nullptr;
  };
  for (const std::string& text : request.handouts) {
    const Subnet handout = TRY(Subnet::parse(text), "--ip-range");
    Range* owner = owner_of(handout.base());
    if (owner == nullptr || !owner->subnet.contains(handout))
      return Error(Code::invalid, "--ip-range: no --subnet contains {}", handout.text());
    owner->handout = handout;
  }
  for (const std::string& text : request.gateways) {
    const Address gateway = TRY(Address::parse(text), "--gateway");
    Range* owner = owner_of(gateway);
    if (owner == nullptr) return Error(Code::invalid, "--gateway: no --subnet contains {}", gateway.text());
    if (gateway == owner->subnet.base() || (!gateway.is_v6() && gateway == owner->subnet.last()))
      return Error(Code::invalid, "--gateway: {} is the subnet's own or its broadcast address", gateway.text());
    owner->gateway = gateway;
  }
  return out;
}

Result<Range> free_range(const std::vector<Subnet>& taken) {
  for (const char* text : kPools) {
    const Subnet pool = TRY(Subnet::parse(text));
    const Number step = Number{1} << (32 - kPoolBits);
    for (Number at = pool.base().value(); at < pool.last().value(); at += step) {
      const Subnet candidate = Subnet::of(Address::of(at, false), kPoolBits);
      const bool free = std::none_of(taken.begin(), taken.end(), [&](const Subnet& s) { return s.overlaps(candidate); });
      if (free) return Range{candidate, Address::of(at + 1, false), {}};
    }
  }
  return Error(Code::unavailable, "all predefined address pools have been fully subnetted")
      .hint("choose one: `kist network create --subnet 10.123.0.0/24 NAME`");
}

Range local_range_v6(std::string_view network_id) {
  // RFC 4193: 40 random bits; those of the id are.
  Number value = 0xfd;
  constexpr size_t kDigits = 10;
  for (const char c : network_id.substr(0, kDigits))
    value = value << 4 | static_cast<unsigned>(c >= 'a' ? c - 'a' + 10 : c - '0');
  const Subnet subnet = Subnet::of(Address::of(value << (128 - 48), true), 64);
  return {subnet, Address::of(subnet.base().value() + 1, true), {}};
}

std::pair<Address, Address> bounds_of(const Range& range) {
  const Subnet& from = range.handout ? *range.handout : range.subnet;
  Number first = from.base().value();
  Number last = from.last().value();
  if (first == range.subnet.base().value()) ++first;
  if (!from.is_v6() && last == range.subnet.last().value()) --last;
  return {Address::of(first, from.is_v6()), Address::of(last, from.is_v6())};
}

Error exhausted(const Range& range) {
  return Error(Code::unavailable, "no available IPv{} addresses on this network's address pool: {}",
               range.subnet.is_v6() ? 6 : 4, (range.handout ? *range.handout : range.subnet).text())
      .hint("`kist ps --filter network=NAME` shows who has them; a network with a larger --subnet has more");
}

}  // namespace kist::networks

#include "networks/flows.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <algorithm>
#include <functional>

#include "networks/netlink.h"

namespace kist::networks {
namespace {

constexpr uint16_t type_of(unsigned message) { return static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message); }

std::string bytes_of(const std::string& text) {
  const auto address = Address::parse(text);
  if (!address) return "";
  const auto bytes = address->bytes();
  return {reinterpret_cast<const char*>(bytes.data()), address->size()};
}

std::string_view nested(std::string_view attributes, uint16_t wanted) { return Answer{0, attributes}.attribute(wanted, 0); }

struct Tuple {
  std::string from, to;
  uint8_t protocol = 0;
  uint16_t port = 0;
};

Tuple read_tuple(std::string_view attributes) {
  Tuple out;
  const std::string_view ip = nested(attributes, CTA_TUPLE_IP);
  out.from = nested(ip, CTA_IP_V4_SRC);
  out.to = nested(ip, CTA_IP_V4_DST);
  if (out.from.empty()) out.from = nested(ip, CTA_IP_V6_SRC);
  if (out.to.empty()) out.to = nested(ip, CTA_IP_V6_DST);
  const std::string_view proto = nested(attributes, CTA_TUPLE_PROTO);
  if (const auto number = nested(proto, CTA_PROTO_NUM); number.size() == 1) out.protocol = static_cast<uint8_t>(number[0]);
  if (const auto port = nested(proto, CTA_PROTO_DST_PORT); port.size() == sizeof out.port) {
    std::memcpy(&out.port, port.data(), sizeof out.port);
    out.port = ntohs(out.port);
  }
  return out;
}

// One by one by what names them exactly: that the kernel filters what is deleted is new in Linux 6.8.
void forget(uint8_t family, const std::function<bool(const Flow&)>& which) {
  constexpr size_t kAtOnce = 64;
  const auto netlink = Netlink::open(NETLINK_NETFILTER);
  if (!netlink) return;
  const nfgenmsg fixed = {family, NFNETLINK_V0, 0};
  std::vector<Batch> batches;
  Batch all;
  all.begin(type_of(IPCTNL_MSG_CT_GET), NLM_F_DUMP, fixed, "list connections");
  const auto take = [&](const Answer& answer) {
    if (!which(read_flow(answer.payload.substr(std::min(answer.payload.size(), sizeof fixed))))) return;
    if (batches.empty() || batches.back().count() == kAtOnce) batches.emplace_back();
    Batch& batch = batches.back();
    batch.begin(type_of(IPCTNL_MSG_CT_DELETE), 0, fixed, "forget a connection");
    batch.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, answer.attribute(CTA_TUPLE_ORIG, sizeof fixed));
    for (const uint16_t name : {CTA_ID, CTA_ZONE})
      if (const auto value = answer.attribute(name, sizeof fixed); !value.empty()) batch.bytes(name, value);
  };
  if (!netlink->dump(all, take)) return;
  // Some may have ended meanwhile.
  for (const Batch& batch : batches) (void)netlink->send(batch).has_value();
}

void forget_where(const std::vector<Endpoint>& endpoints, bool (*which)(const Flow&, const Endpoint&)) {
  for (const bool v6 : {false, true}) {
    std::vector<const Endpoint*> some;
    for (const Endpoint& one : endpoints)
      if (!(v6 ? one.ipv6 : one.ipv4).empty()) some.push_back(&one);
    if (some.empty()) continue;
    forget(v6 ? AF_INET6 : AF_INET, [&](const Flow& flow) {
      return std::any_of(some.begin(), some.end(), [&](const Endpoint* one) { return which(flow, *one); });
    });
  }
}

}  // namespace

Flow read_flow(std::string_view payload) {
  const Tuple there = read_tuple(nested(payload, CTA_TUPLE_ORIG));
  const Tuple back = read_tuple(nested(payload, CTA_TUPLE_REPLY));
  uint32_t status = 0;
  if (const auto value = nested(payload, CTA_STATUS); value.size() == sizeof status) std::memcpy(&status, value.data(), sizeof status);
  return {there.protocol, there.from, there.to, there.port, back.from, back.to, (ntohl(status) & IPS_SEEN_REPLY) != 0};
}

bool is_of(const Flow& flow, const Endpoint& endpoint) {
  for (const std::string* text : {&endpoint.ipv4, &endpoint.ipv6}) {
    const std::string own = bytes_of(*text);
    if (!own.empty() && (flow.from == own || flow.answers_from == own)) return true;
  }
  return false;
}

bool is_astray(const Flow& flow, const Endpoint& endpoint) {
  if (flow.protocol != IPPROTO_UDP || flow.to.empty() || is_of(flow, endpoint)) return false;
  const bool is_asked_for = std::any_of(endpoint.ports.begin(), endpoint.ports.end(), [&](const PublishedPort& port) {
    if (port.protocol != "udp" || port.host_port != flow.port) return false;
    const bool any = port.host_ip.empty() || port.host_ip == "0.0.0.0" || port.host_ip == "::";
    return any || bytes_of(port.host_ip) == flow.to;
  });
  if (!is_asked_for) return false;
  // Another container's, or the host's own where nobody listened. What is on its way through the host to
  // such a port of somebody else, or was answered from there, is left alone.
  const bool leads_elsewhere = flow.answers_from != flow.to;
  const bool is_masked = flow.answers_to != flow.from;
  return leads_elsewhere || (!flow.is_answered && !is_masked);
}

void forget_flows_of(const std::vector<Endpoint>& gone) { forget_where(gone, is_of); }

void forget_flows_before(const std::vector<Endpoint>& come) {
  std::vector<Endpoint> some;
  const auto is_udp = [](const PublishedPort& port) { return port.protocol == "udp"; };
  for (const Endpoint& one : come)
    if (std::any_of(one.ports.begin(), one.ports.end(), is_udp)) some.push_back(one);
  forget_where(some, is_astray);
}

}  // namespace kist::networks

#include "container_cli/network_json.h"

#include <ctime>

#include "base/text.h"

namespace kist::container_cli {
namespace {

namespace json = boost::json;
using networks::Endpoint;

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

json::object object_of(const std::map<std::string, std::string>& values) {
  json::object out;
  for (const auto& [key, value] : values) out[key] = text(value);
  return out;
}

std::string moment(int64_t ns) {
  const time_t seconds = ns / 1'000'000'000;
  tm parts = {};
  ::gmtime_r(&seconds, &parts);
  char buffer[64];
  const size_t size = ::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:09}Z", std::string_view(buffer, size), ns % 1'000'000'000);
}

// docker has a number for each; ours is the container and its interface.
std::string endpoint_id(const Endpoint& endpoint) { return endpoint.container.substr(0, 48) + endpoint.network.substr(0, 16); }

std::string with_bits(const std::string& address, unsigned bits) {
  return address.empty() ? "" : fmt::format("{}/{}", address, bits);
}

json::object endpoint_json(const Endpoint& endpoint, const containers::Record& record) {
  json::array aliases, names;
  for (const std::string& alias : endpoint.aliases) aliases.push_back(text(alias));
  if (endpoint.network_name != networks::kDefaultNetwork)
    for (const std::string& name : endpoint.names()) names.push_back(text(name));
  json::value ipam = nullptr;
  for (const auto& wish : record.networks)
    if (wish.name == endpoint.network_name && (!wish.ipv4.empty() || !wish.ipv6.empty())) {
      json::object config;
      if (!wish.ipv4.empty()) config["IPv4Address"] = text(wish.ipv4);
      if (!wish.ipv6.empty()) config["IPv6Address"] = text(wish.ipv6);
      ipam = std::move(config);
    }
  return {{"IPAMConfig", std::move(ipam)},
          {"Links", nullptr},
          {"Aliases", aliases.empty() ? json::value(nullptr) : json::value(std::move(aliases))},
          {"MacAddress", text(endpoint.mac)},
          {"NetworkID", text(endpoint.network)},
          {"EndpointID", text(endpoint_id(endpoint))},
          {"Gateway", text(endpoint.gateway4)},
          {"IPAddress", text(endpoint.ipv4)},
          {"IPPrefixLen", endpoint.bits4},
          {"IPv6Gateway", text(endpoint.gateway6)},
          {"GlobalIPv6Address", text(endpoint.ipv6)},
          {"GlobalIPv6PrefixLen", endpoint.bits6},
          {"DriverOpts", nullptr},
          {"DNSNames", names.empty() ? json::value(nullptr) : json::value(std::move(names))}};
}

json::object ports_json(const std::vector<networks::PublishedPort>& ports, const containers::Record& record, bool has_v6) {
  json::object out;
  for (const std::string& port : record.exposed_ports) out[port] = nullptr;
  for (const networks::PublishedPort& port : ports) {
    const std::string key = fmt::format("{}/{}", port.container_port, port.protocol);
    if (!out[key].is_array()) out[key] = json::array();
    const auto add = [&](const std::string& ip) {
      out[key].get_array().push_back(json::object{{"HostIp", text(ip)}, {"HostPort", text(fmt::format("{}", port.host_port))}});
    };
    add(port.host_ip.empty() ? "0.0.0.0" : port.host_ip);
    if (port.host_ip.empty() && has_v6) add("::");
  }
  return out;
}

}  // namespace

json::object network_json(const Here& here, const networks::Network& network, const std::string& driver) {
  json::array ranges;
  for (const networks::Range& range : network.ranges) {
    json::object one{{"Subnet", text(range.subnet.text())}, {"Gateway", text(range.gateway.text())}};
    if (range.handout) one["IPRange"] = text(range.handout->text());
    ranges.push_back(std::move(one));
  }
  json::object containers;
  for (const Endpoint& member : networks::members(here.networks, network.id))
    containers[member.container] = json::object{{"Name", text(member.name)},
                                                {"EndpointID", text(endpoint_id(member))},
                                                {"MacAddress", text(member.mac)},
                                                {"IPv4Address", text(with_bits(member.ipv4, member.bits4))},
                                                {"IPv6Address", text(with_bits(member.ipv6, member.bits6))}};
  json::object options = object_of(network.options);
  if (!network.interface.empty()) options["com.docker.network.bridge.name"] = text(network.interface);
  return {{"Name", text(network.name)},
          {"Id", text(network.id)},
          {"Created", text(moment(network.created_ns))},
          {"Scope", "local"},
          {"Driver", text(driver)},
          {"EnableIPv4", network.range(false) != nullptr},
          {"EnableIPv6", network.range(true) != nullptr},
          {"IPAM", json::object{{"Driver", "default"}, {"Options", nullptr}, {"Config", std::move(ranges)}}},
          {"Internal", network.internal},
          {"Attachable", network.attachable},
          {"Ingress", false},
          {"ConfigFrom", json::object{{"Network", ""}}},
          {"ConfigOnly", false},
          {"Containers", std::move(containers)},
          {"Options", std::move(options)},
          {"Labels", object_of(network.labels)}};
}

std::vector<networks::PublishedPort> published_ports(const Here& here, const containers::Record& record,
                                                     const containers::Status& status, bool& has_v6) {
  std::vector<networks::PublishedPort> out;
  has_v6 = false;
  if (!status.is_alive()) return out;
  for (const Endpoint& endpoint : containers::endpoints_of(here.networks, here.place, record)) {
    out.insert(out.end(), endpoint.ports.begin(), endpoint.ports.end());
    has_v6 = has_v6 || !endpoint.ipv6.empty();
  }
  return out;
}

json::object network_settings(const Here& here, const containers::Record& record, const containers::Status& status) {
  bool has_v6 = false;
  const auto ports = published_ports(here, record, status, has_v6);
  json::object networks;
  Endpoint first;
  if (status.is_alive()) {
    for (const Endpoint& endpoint : containers::endpoints_of(here.networks, here.place, record)) {
      networks[endpoint.network_name] = endpoint_json(endpoint, record);
      if (endpoint.network_name == networks::kDefaultNetwork) first = endpoint;
    }
  } else {
    for (const auto& wish : record.networks) {
      Endpoint none;
      none.network_name = wish.name;
      none.aliases = wish.aliases;
      networks[wish.name] = endpoint_json(none, record);
    }
  }
  if (!record.is_networked() && !networks.contains(record.network)) networks[record.network] = endpoint_json({}, record);
  json::object out{{"Bridge", ""},
                   {"SandboxID", ""},
                   {"SandboxKey", text(status.is_alive() ? fmt::format("/proc/{}/ns/net", status.pid) : "")},
                   {"Ports", status.is_alive() ? ports_json(ports, record, has_v6) : json::object()},
                   {"EndpointID", text(first.network.empty() ? "" : endpoint_id(first))},
                   {"Gateway", text(first.gateway4)},
                   {"GlobalIPv6Address", text(first.ipv6)},
                   {"GlobalIPv6PrefixLen", first.bits6},
                   {"IPAddress", text(first.ipv4)},
                   {"IPPrefixLen", first.bits4},
                   {"IPv6Gateway", text(first.gateway6)},
                   {"MacAddress", text(first.mac)},
                   {"Networks", std::move(networks)}};
  return out;
}

}  // namespace kist::container_cli

#include "container_cli/network_flags.h"

#include <algorithm>

#include "base/text.h"
#include "containers/place.h"
#include "networks/ports.h"

namespace kist::container_cli {
namespace {

using cli::Parsed;
using containers::NetworkRequest;
using containers::Record;

bool is_mode(std::string_view name) {
  return name == "host" || name == "none" || name == "pasta" || name == "slirp4netns" || name.starts_with("container:");
}

// "CONTAINER[:ALIAS]", as docker had it before there were networks.
Result<void> read_links(const Parsed& parsed, const launch::Host& host, Record& record) {
  for (const std::string& text : parsed.values("--link")) {
    const size_t colon = std::min(text.find(':'), text.size());
    const std::string name = text.substr(0, colon);
    const std::string alias = colon == text.size() ? name : text.substr(colon + 1);
    if (name.empty() || alias.empty() || alias.find_first_of(": \t\r\n#") != std::string::npos)
      return Error(Code::invalid, "--link: '{}' is not CONTAINER[:ALIAS]", printable(text));
    const auto id = TRY(containers::Place(host.kist_home).find(name), "--link {}", printable(text));
    record.links.push_back(id + ":" + alias);
  }
  return {};
}

Result<void> read_names(const Parsed& parsed, Record& record) {
  record.no_hosts = parsed.has("--no-hosts");
  if (record.no_hosts && parsed.has("--add-host"))
    return Error(Code::invalid, "conflicting options: --no-hosts and --add-host");
  for (const char* flag : {"--dns"})
    for (const std::string& server : parsed.values(flag)) TRY(networks::Address::parse(server), "--dns");
  record.dns_servers = parsed.values("--dns");
  record.dns_search = parsed.values("--dns-search");
  record.dns_options = parsed.values("--dns-option");
  for (const std::string& host : parsed.values("--add-host")) {
    const size_t colon = host.find_first_of(":=");
    const std::string address = colon == std::string::npos ? "" : host.substr(colon + 1);
    if (address.empty() || colon == 0 || host.substr(0, colon).find_first_of(" \t\n#") != std::string::npos)
      return Error(Code::invalid, "--add-host: '{}' is not NAME:ADDRESS", printable(host));
    std::string bare = address;
    if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
    if (bare != "host-gateway") TRY(networks::Address::parse(bare), "--add-host {}", printable(host));
    record.extra_hosts.push_back(host.substr(0, colon) + ":" + bare);
  }
  return {};
}

Result<void> read_ports(const Parsed& parsed, Record& record) {
  for (const std::string& text : parsed.values("--expose")) {
    const auto ports = TRY(networks::parse_expose(text), "--expose");
    record.exposed_ports.insert(record.exposed_ports.end(), ports.begin(), ports.end());
  }
  constexpr size_t kMostPorts = 4096;
  for (const std::string& text : parsed.values("--publish")) {
    const auto ports = TRY(networks::parse_publish(text));
    for (const auto& port : ports) {
      record.ports.push_back({port.host_ip, port.host_port, port.container_port, port.protocol});
      record.exposed_ports.push_back(fmt::format("{}/{}", port.container_port, port.protocol));
    }
    if (record.ports.size() > kMostPorts)
      return Error(Code::invalid, "--publish: more than {} ports for one container", kMostPorts)
          .hint("`--network host` gives it all of the host's");
  }
  std::vector<std::string>& exposed = record.exposed_ports;
  std::sort(exposed.begin(), exposed.end());
  exposed.erase(std::unique(exposed.begin(), exposed.end()), exposed.end());
  record.publish_all = parsed.has("--publish-all");
  if (!record.publish_all) return {};
  for (const std::string& text : exposed) {
    const auto ports = TRY(networks::parse_publish(text), "--publish-all");
    const auto& port = ports.front();
    const bool has = std::any_of(record.ports.begin(), record.ports.end(), [&](const containers::PortRequest& p) {
      return p.container_port == port.container_port && p.protocol == port.protocol;
    });
    if (!has) record.ports.push_back({"", 0, port.container_port, port.protocol});
  }
  return {};
}

// --ip and its like are those of the first network.
Result<void> read_addresses(const Parsed& parsed, Record& record) {
  const bool any = parsed.has("--ip") || parsed.has("--ip6") || parsed.has("--mac-address") || parsed.has("--network-alias");
  if (!any) return {};
  if (!record.is_networked())
    return Error(Code::invalid, "--ip, --ip6, --mac-address and --network-alias need a network of kist's own")
        .hint("`kist network create NAME`, then `--network NAME`");
  NetworkRequest& first = record.networks.front();
  if (parsed.has("--ip")) first.ipv4 = parsed.value("--ip");
  if (parsed.has("--ip6")) first.ipv6 = parsed.value("--ip6");
  if (parsed.has("--mac-address")) first.mac = parsed.value("--mac-address");
  for (const std::string& alias : parsed.values("--network-alias")) first.aliases.push_back(alias);
  return {};
}

Result<void> read_modes(const Parsed& parsed, bool is_root, Record& record) {
  const auto& texts = parsed.values("--network");
  const bool ports = !record.ports.empty() || (is_root && !record.links.empty());
  if (texts.empty() && ports) record.network = is_root ? std::string(networks::kDefaultNetwork) : "pasta";
  if (texts.empty() && ports && is_root) record.networks.push_back({std::string(networks::kDefaultNetwork), {}, {}, {}, {}});
  for (const std::string& text : texts) {
    if (text.empty()) return Error(Code::invalid, "--network: the name is empty");
    NetworkRequest one = TRY(parse_network(text), "--network {}", printable(text));
    if (one.name == "default") one.name = networks::kDefaultNetwork;
    if (texts.size() == 1 || &text == &texts.front()) record.network = one.name;
    if (is_mode(one.name) && texts.size() > 1)
      return Error(Code::invalid, "--network: '{}' cannot be combined with other networks", printable(one.name));
    if (!is_mode(one.name)) record.networks.push_back(std::move(one));
  }
  if (record.network == "container:") return Error(Code::invalid, "--network: which container? want container:NAME");
  return {};
}

}  // namespace

Result<void> check_wish(const NetworkRequest& wish) {
  if (!wish.ipv4.empty()) TRY(networks::Address::parse(wish.ipv4), "--ip");
  if (!wish.ipv6.empty()) TRY(networks::Address::parse(wish.ipv6), "--ip6");
  if (!wish.mac.empty()) TRY(networks::parse_mac(wish.mac), "--mac-address");
  if (wish.name == networks::kDefaultNetwork && (!wish.ipv4.empty() || !wish.ipv6.empty()))
    return Error(Code::invalid, "user specified IP address is supported on user defined networks only")
        .hint("`kist network create --subnet 10.123.0.0/24 NAME`");
  if (wish.name == networks::kDefaultNetwork && !wish.aliases.empty())
    return Error(Code::invalid, "network-scoped alias is supported only for containers in user defined networks")
        .hint("`kist network create NAME`, then `--network NAME`");
  for (const std::string& alias : wish.aliases)
    if (alias.empty() || alias.size() > 253 || alias.find_first_of(" \t\r\n#") != std::string::npos)
      return Error(Code::invalid, "--network-alias: '{}' is no name of a host", printable(alias));
  return {};
}

Result<NetworkRequest> parse_network(const std::string& text) {
  NetworkRequest out;
  // podman's "pasta:-T,5432", "slirp4netns:cidr=…", "bridge:ip=…".
  const std::string_view word = std::string_view(text).substr(0, text.find(':'));
  if (word.size() < text.size() && (word == "pasta" || word == "slirp4netns" || word == "bridge"))
    return Error(Code::unsupported, "options of {} are not supported", word)
        .hint(fmt::format("`--network {}` alone; `--network name=NAME,ip=ADDRESS` has an address", word));
  if (text.find('=') == std::string::npos) {
    out.name = text;
    return out;
  }
  for (const std::string_view part : split(text, ',')) {
    const size_t equals = std::min(part.find('='), part.size());
    const std::string_view key = part.substr(0, equals);
    const std::string value(part.substr(std::min(equals + 1, part.size())));
    if (key == "name") out.name = value;
    else if (key == "alias") out.aliases.push_back(value);
    else if (key == "ip") out.ipv4 = value;
    else if (key == "ip6") out.ipv6 = value;
    else if (key == "mac-address") out.mac = value;
    else return Error(Code::invalid, "'{}' is not one of name, alias, ip, ip6, mac-address", printable(key));
  }
  if (out.name.empty()) return Error(Code::invalid, "no name=");
  return out;
}

Result<void> read_network(const Parsed& parsed, const launch::Host& host, bool is_root, Record& record, std::string& warning) {
  TRY(read_names(parsed, record));
  TRY(read_links(parsed, host, record));
  TRY(read_ports(parsed, record));
  TRY(read_modes(parsed, is_root, record));
  TRY(read_addresses(parsed, record));
  for (const NetworkRequest& wish : record.networks) TRY(check_wish(wish));
  if (record.is_networked() && !is_root)
    return Error(Code::denied, "--network {}: networks of kist's own need root", printable(record.network))
        .hint("`--network pasta` gives a plain user's container a network and published ports");
  if (!record.links.empty() && !record.is_networked())
    return Error(Code::invalid, "conflicting options: {} type networking can't be used with links", record.network)
        .hint(is_root ? "`kist network create NAME`, then `--network NAME` for both" : "`--add-host NAME:ADDRESS`");
  if (record.ports.empty()) return {};
  if (record.network.starts_with("container:"))
    return Error(Code::invalid, "conflicting options: port publishing and the container type network mode");
  if (record.network == "host" || record.network == "none") {
    if (record.network == "host") warning = "Published ports are discarded when using host network mode";
    record.ports.clear();
  }
  return {};
}

}  // namespace kist::container_cli

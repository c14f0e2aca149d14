// The three files of /etc that say who one is on which network.
#include <algorithm>

#include "base/text.h"
#include "containers/container_network.h"
#include "containers/lifecycle.h"
#include "networks/address.h"

namespace kist::containers {
namespace {

std::string host_file(const char* path) { return os::read_file(path, 1 << 20).value_or(""); }

std::string hosts_of(const Record& record) {
  std::string out = record.network == "host"
                        ? host_file("/etc/hosts")
                        : "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
                          "fe00::\tip6-localnet\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
  if (!out.empty() && !out.ends_with('\n')) out += '\n';
  // Who is on a network is known there by its address: networks/names.h.
  if (record.network != "host" && !record.is_networked() && !record.hostname.empty()) out += fmt::format("127.0.0.1\t{}\n", record.hostname);
  for (const std::string& line : record.extra_hosts) {
    const size_t colon = line.find(':');
    if (line.substr(colon + 1) == "host-gateway") continue;
    out += fmt::format("{}\t{}\n", line.substr(colon + 1), line.substr(0, colon));
  }
  return out;
}

bool is_own_resolver(std::string_view line) {
  if (!line.starts_with("nameserver")) return false;
  const auto address = networks::Address::parse(trim(line.substr(10)));
  return address && address->is_loopback();
}

// The host's own resolver at 127.0.0.53 is not the container's loopback: what stands behind it is asked
// then, which systemd writes beside.
std::string host_resolver(const Record& record) {
  std::string text = host_file("/etc/resolv.conf");
  if (record.network == "host" || record.network == "none") return text;
  const auto has_own = [&] {
    const auto all = lines(text);
    return std::any_of(all.begin(), all.end(), is_own_resolver);
  };
  if (!has_own()) return text;
  if (const std::string behind = host_file("/run/systemd/resolve/resolv.conf"); !behind.empty()) text = behind;
  std::string out;
  for (const std::string_view line : lines(text))
    if (!is_own_resolver(line)) out += fmt::format("{}\n", line);
  return out;
}

// Those after the container's own are asked when nobody keeps the container any more. A name without a dot is
// a container's first, whatever the search list adds: as docker.
std::string with_own_server(const std::string& others) {
  std::string out = fmt::format("nameserver {}\n{}", networks::kNameServer, others);
  if (!out.ends_with('\n')) out += '\n';
  return others.find("ndots:") != std::string::npos ? out : out + "options ndots:0\n";
}

std::string resolver_of(const Record& record) {
  const std::string of_host = host_resolver(record);
  std::string out;
  if (record.dns_servers.empty() && record.dns_search.empty() && record.dns_options.empty()) out = of_host;
  else {
    for (const std::string& server : record.dns_servers) out += fmt::format("nameserver {}\n", server);
    if (record.dns_servers.empty())
      for (const std::string_view line : lines(of_host))
        if (line.starts_with("nameserver")) out += fmt::format("{}\n", line);
    if (!record.dns_search.empty()) out += fmt::format("search {}\n", fmt::join(record.dns_search, " "));
    if (!record.dns_options.empty()) out += fmt::format("options {}\n", fmt::join(record.dns_options, " "));
  }
  return ContainerNetwork::has_name_server(record) ? with_own_server(out) : out;
}

}  // namespace

Result<void> write_network_files(const Place& place, const Record& record) {
  const auto write = [&](const char* name, const std::string& text) -> Result<void> {
    const os::Fd file = TRY(os::open_file(place.file_of(record.id, name), O_WRONLY | O_CREAT | O_TRUNC, 0644));
    return os::write_all(file, text);
  };
  TRY(write("hosts", hosts_of(record)));
  TRY(write("resolv.conf", resolver_of(record)));
  if (record.hostname.empty()) return {};
  return write("hostname", record.hostname + "\n");
}

}  // namespace kist::containers

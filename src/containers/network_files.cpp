// The three files of /etc that say who one is on which network.
#include "base/text.h"
#include "containers/lifecycle.h"

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

std::string resolver_of(const Record& record) {
  if (record.dns_servers.empty() && record.dns_search.empty() && record.dns_options.empty())
    return host_file("/etc/resolv.conf");
  std::string out;
  for (const std::string& server : record.dns_servers) out += fmt::format("nameserver {}\n", server);
  if (record.dns_servers.empty())
    for (const std::string_view line : lines(host_file("/etc/resolv.conf")))
      if (line.starts_with("nameserver")) out += fmt::format("{}\n", line);
  if (!record.dns_search.empty()) out += fmt::format("search {}\n", fmt::join(record.dns_search, " "));
  if (!record.dns_options.empty()) out += fmt::format("options {}\n", fmt::join(record.dns_options, " "));
  return out;
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

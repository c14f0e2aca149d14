// kist port
#include "base/text.h"
#include "container_cli/network_json.h"
#include "container_cli/verb.h"

namespace kist::container_cli {

Result<int> port_verb(const cli::Parsed& parsed, const Here& here) {
  const auto record = TRY(here.record(parsed.positionals()[0]));
  const auto status = TRY(here.place.status(record.id));
  bool has_v6 = false;
  const auto ports = published_ports(here, record, status, has_v6);
  std::string wanted;
  if (parsed.positionals().size() > 1) {
    wanted = parsed.positionals()[1];
    if (wanted.find('/') == std::string::npos) wanted += "/tcp";
  }
  bool found = false;
  for (const auto& port : ports) {
    const std::string inside = fmt::format("{}/{}", port.container_port, port.protocol);
    if (!wanted.empty() && inside != wanted) continue;
    found = true;
    const std::string before = wanted.empty() ? inside + " -> " : "";
    const std::string ip = port.host_ip.empty() ? "0.0.0.0" : port.host_ip;
    const bool v6 = ip.find(':') != std::string::npos;
    here.terminal.line(fmt::format("{}{}:{}", before, v6 ? "[" + ip + "]" : ip, port.host_port));
    if (port.host_ip.empty() && has_v6) here.terminal.line(fmt::format("{}[::]:{}", before, port.host_port));
  }
  if (wanted.empty() || found) return 0;
  return Error(Code::not_found, "no public port '{}' published for {}", printable(wanted), printable(record.name));
}

}  // namespace kist::container_cli

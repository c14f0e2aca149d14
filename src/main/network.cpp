#include "main/network.h"

#include <array>

namespace kist {
namespace {

std::string first_of(const launch::Host& host, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const auto it = host.variables.find(name); it != host.variables.end() && !it->second.empty())
      return it->second;
  return "";
}

}  // namespace

verbs::Machine read_machine(launch::Host host) {
  verbs::Machine machine;
  http::Config& network = machine.network;
  network.ca_file = first_of(host, {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"});
  network.ca_dir = first_of(host, {"SSL_CERT_DIR"});
  network.netrc_path = first_of(host, {"NETRC"});
  if (network.netrc_path.empty() && os::exists(os::join(host.home, ".netrc")))
    network.netrc_path = os::join(host.home, ".netrc");
  network.proxy_http = first_of(host, {"http_proxy"});
  network.proxy_https = first_of(host, {"https_proxy", "HTTPS_PROXY"});
  network.proxy_all = first_of(host, {"all_proxy", "ALL_PROXY"});
  network.no_proxy = first_of(host, {"no_proxy", "NO_PROXY"});
  machine.default_index = first_of(host, {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"});
  if (machine.default_index.empty()) machine.default_index = KIST_DEFAULT_INDEX;
  for (const auto& [name, value] : host.variables)
    if (name.starts_with("UV_INDEX") || name.starts_with("UV_DEFAULT_INDEX") ||
        name.starts_with("UV_EXTRA_INDEX") || name == "UV_FIND_LINKS" || name == "UV_KEYRING_PROVIDER")
      machine.index_variables.push_back(name + "=" + value);
  machine.host = std::move(host);
  return machine;
}

}  // namespace kist

#include "http/config.h"

#include <algorithm>

#include "base/text.h"

namespace kist::http {
namespace {

constexpr uint64_t kMostConnections = 64;
constexpr uint64_t kLongestTimeoutSeconds = 3600;
constexpr uint64_t kMostRetries = 20;

std::string setting(const Settings& settings, const char* key) {
  const auto found = settings.find(key);
  return found == settings.end() || found->second.values.empty() ? ""
                                                                 : found->second.values.front();
}

std::string first_of(std::initializer_list<std::string> texts) {
  for (const std::string& text : texts)
    if (!text.empty()) return text;
  return "";
}

void set_certificates(const Environment& environment, const ToolSettings& settings,
                      Config& config) {
  config.ca_file =
      first_of({first_variable(environment, {"SSL_CERT_FILE"}), setting(settings.pip, "cert"),
                first_variable(environment, {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"})});
  config.ca_dir = first_variable(environment, {"SSL_CERT_DIR"});
}

void set_proxies(const Environment& environment, const ToolSettings& settings, Config& config) {
  const bool is_cgi = !variable(environment, "REQUEST_METHOD").empty();
  const std::string pip = setting(settings.pip, "proxy");
  config.proxy_http = first_of({first_variable(environment, {"http_proxy"}),
                                is_cgi ? "" : first_variable(environment, {"HTTP_PROXY"}), pip,
                                setting(settings.uv, "http-proxy")});
  config.proxy_https = first_of({first_variable(environment, {"https_proxy", "HTTPS_PROXY"}), pip,
                                 setting(settings.uv, "https-proxy")});
  config.proxy_all = first_variable(environment, {"all_proxy", "ALL_PROXY"});
  config.no_proxy = first_variable(environment, {"no_proxy", "NO_PROXY"});
  const auto listed = settings.uv.find("no-proxy");
  if (config.no_proxy.empty() && listed != settings.uv.end())
    config.no_proxy = fmt::format("{}", fmt::join(listed->second.values, ","));
}

void set_patience(const Environment& environment, const ToolSettings& settings, Config& config) {
  const std::string timeout = first_of(
      {first_variable(environment, {"UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT", "HTTP_TIMEOUT"}),
       setting(settings.pip, "timeout"), setting(settings.pip, "default-timeout")});
  if (const auto seconds = parse_number(timeout)) {
    config.stall_timeout =
        std::chrono::seconds(std::clamp<uint64_t>(*seconds, 1, kLongestTimeoutSeconds));
  }
  const std::string retries = first_of(
      {first_variable(environment, {"UV_HTTP_RETRIES"}), setting(settings.pip, "retries")});
  if (const auto count = parse_number(retries))
    config.retries = static_cast<int>(std::min(*count, kMostRetries));
  const std::string width = first_of({first_variable(environment, {"UV_CONCURRENT_DOWNLOADS"}),
                                      setting(settings.uv, "concurrent-downloads")});
  if (const auto count = parse_number(width))
    config.connections = static_cast<size_t>(std::clamp<uint64_t>(*count, 1, kMostConnections));
}

void set_insecure_hosts(const Environment& environment, const ToolSettings& settings,
                        Config& config) {
  std::vector<std::string>& hosts = config.insecure_hosts;
  for (const std::string_view host : split(variable(environment, "UV_INSECURE_HOST"), ' '))
    if (!trim(host).empty()) hosts.emplace_back(trim(host));
  const std::pair<const Settings&, const char*> places[] = {{settings.uv, "allow-insecure-host"},
                                                            {settings.pip, "trusted-host"}};
  for (const auto& [from, key] : places)
    if (const auto found = from.find(key); found != from.end())
      hosts.insert(hosts.end(), found->second.values.begin(), found->second.values.end());
}

}  // namespace

Config config_from(const Environment& environment, const ToolSettings& settings) {
  Config config;
  set_certificates(environment, settings, config);
  set_proxies(environment, settings, config);
  set_patience(environment, settings, config);
  set_insecure_hosts(environment, settings, config);
  config.netrc_path = first_variable(environment, {"NETRC"});
  const std::string_view home = variable(environment, "HOME");
  if (config.netrc_path.empty() && !home.empty())
    config.netrc_path = fmt::format("{}/.netrc", home);
  return config;
}

}  // namespace kist::http

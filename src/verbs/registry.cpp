#include "verbs/registry.h"

#include <fmt/format.h>

#include "base/text.h"
#include "os/files.h"
#include "registry_server/service.h"
#include "verbs/json.h"

namespace kist::verbs {
namespace {

constexpr uint64_t kMaxConfig = 4u << 20;
constexpr std::string_view kDefaultAddress = "127.0.0.1:5000";

std::string absolute(const std::string& path, const Machine& machine) {
  return path.empty() || path.front() == '/' ? path : os::join(machine.host.working_dir, path);
}

Result<void> check_url(const std::string& url, std::string_view what) {
  if (url.empty() || url.starts_with("https://") || url.starts_with("http://")) return {};
  return Error(Code::invalid, "{} is '{}', want an address that begins with https:// or http://", what, printable(url))
      .hint(fmt::format("`{} https://{}`", what, printable(url)));
}

Result<registry_server::Config> config_of(const cli::Parsed& parsed, const Machine& machine) {
  registry_server::Config config;
  if (const std::string path = parsed.value("--config"); !path.empty()) {
    const std::string text = TRY(os::read_file(absolute(path, machine), kMaxConfig));
    config = TRY(registry_server::parse_config(text, path));
  }
  if (!parsed.values("--listen").empty()) config.listen = parsed.values("--listen");
  if (config.listen.empty()) config.listen.emplace_back(kDefaultAddress);
  if (parsed.has("--root")) config.root = parsed.value("--root");
  if (config.root.empty()) config.root = os::join(machine.host.kist_home, "registry");
  config.root = absolute(config.root, machine);
  if (parsed.has("--tls-cert") != parsed.has("--tls-key"))
    return Error(Code::invalid, "--tls-cert and --tls-key belong together");
  if (parsed.has("--tls-cert"))
    config.tls = http_server::TlsFiles{absolute(parsed.value("--tls-cert"), machine), absolute(parsed.value("--tls-key"), machine)};
  if (parsed.has("--htpasswd")) config.access.htpasswd = absolute(parsed.value("--htpasswd"), machine);
  if (parsed.has("--read-only")) config.registry.is_read_only = true;
  if (parsed.has("--anonymous-read")) config.access.anonymous = {registry_server::Right::read};
  if (parsed.has("--access-log")) config.access_log = parsed.value("--access-log");
  if (config.access_log == "none") config.access_log.clear();
  if (config.access_log != "-") config.access_log = absolute(config.access_log, machine);
  if (parsed.has("--with-images")) config.images_of = machine.host.kist_home;
  if (parsed.has("--cache-of")) config.upstream.url = parsed.value("--cache-of");
  TRY(check_url(config.upstream.url, parsed.has("--cache-of") ? "--cache-of" : "upstream.url"));
  TRY(check_url(config.s3.endpoint, "s3.endpoint"));
  return config;
}

void print_report(const registry_server::GcReport& report, bool is_dry_run, bool as_json, cli::Terminal& terminal) {
  if (as_json) {
    terminal.line(json_line(boost::json::object{{"dry_run", is_dry_run}, {"freed_bytes", report.freed_bytes}, {"blobs", report.blobs},
                                                {"links", report.links}, {"manifests", report.manifests}, {"tags", report.tags}}));
    return;
  }
  terminal.line(fmt::format("{} {}: {} blobs, {} links, {} manifests, {} tags", is_dry_run ? "would free" : "freed",
                            human_bytes(report.freed_bytes), report.blobs, report.links, report.manifests, report.tags));
}

Result<int> collect(const cli::Parsed& parsed, const Machine& machine, cli::Terminal& terminal) {
  registry_server::Config config = TRY(config_of(parsed, machine));
  if (config.s3.endpoint.empty() && !os::exists(os::join(config.root, "format")))
    return Error(Code::not_found, "'{}' is not a registry", config.root).hint("`kist registry gc --root DIR`");
  if (parsed.has("--grace")) {
    const auto grace = registry_server::parse_duration(parsed.value("--grace"));
    if (!grace) return Error(Code::invalid, "'{}' is not a duration", printable(parsed.value("--grace"))).hint("`--grace 24h`");
    config.gc.grace = *grace;
  }
  config.gc.is_dry_run = parsed.has("--dry-run");
  if (parsed.has("--untagged")) config.gc.takes_untagged = true;
  const auto report = TRY(registry_server::collect_once(config, machine.network));
  print_report(report, config.gc.is_dry_run, parsed.has("--json"), terminal);
  return 0;
}

std::string words_of(const std::vector<registry_server::Right>& rights) {
  std::vector<std::string_view> words;
  for (const auto right : rights)
    words.push_back(right == registry_server::Right::read ? "read" : right == registry_server::Right::write ? "write" : "delete");
  return fmt::format("{}", fmt::join(words, ", "));
}

// "with TLS; users of 'FILE'; read-only": what whoever starts it should see at once.
std::string summary(const registry_server::Config& config) {
  const registry_server::AccessOptions& access = config.access;
  std::vector<std::string> parts{config.tls ? "with TLS" : "without TLS"};
  if (access.token_server) parts.push_back(fmt::format("tokens of '{}'", access.token_server->issuer));
  if (!access.htpasswd.empty()) parts.push_back(fmt::format("users of '{}'{}", access.htpasswd, access.has_tokens ? ", with tokens" : ""));
  if (!access.anonymous.empty()) parts.push_back("without login: " + words_of(access.anonymous));
  if (!access.rules.empty()) parts.push_back(fmt::format("{} rule{} of access", access.rules.size(), access.rules.size() == 1 ? "" : "s"));
  if (parts.size() == 1) parts.emplace_back(config.registry.is_read_only ? "everybody may read" : "everybody may read, write and delete");
  if (config.registry.is_read_only) parts.emplace_back("read-only");
  if (!config.upstream.url.empty()) parts.push_back("cache of " + http::redact(config.upstream.url));
  if (!config.s3.endpoint.empty()) parts.push_back(fmt::format("bucket '{}' of {}", config.s3.bucket, http::redact(config.s3.endpoint)));
  if (!config.images_of.empty()) parts.push_back(fmt::format("images of '{}'", config.images_of));
  return fmt::format("{}", fmt::join(parts, "; "));
}

// What a service has to say goes to stderr: stdout is the access log's.
Result<int> serve(const cli::Parsed& parsed, const Machine& machine, cli::Terminal& terminal) {
  registry_server::Config config = TRY(config_of(parsed, machine));
  const std::string root = config.root, said = summary(config);
  registry_server::ServiceEvents events{
      .on_listening =
          [&](const std::vector<std::string>& urls) {
            for (const std::string& url : urls) terminal.note(fmt::format("serving '{}' at {}", root, url));
            terminal.note(said);
          },
      .on_error = [&](const Error& error) { terminal.error(error); },
      .on_collected = {}};
  const auto service = TRY(registry_server::Service::open(std::move(config), machine.network, std::move(events)));
  service->run();
  return 0;
}

}  // namespace

bool is_registry_verb(std::string_view name) { return name == "registry serve" || name == "registry gc"; }

Result<int> registry_verb(std::string_view name, const cli::Parsed& parsed, const Machine& machine, cli::Terminal& terminal) {
  return name == "registry gc" ? collect(parsed, machine, terminal) : serve(parsed, machine, terminal);
}

}  // namespace kist::verbs

#include "verbs/registry.h"

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

// What a service has to say goes to stderr: stdout is the access log's.
Result<int> serve(const cli::Parsed& parsed, const Machine& machine, cli::Terminal& terminal) {
  registry_server::Config config = TRY(config_of(parsed, machine));
  const std::string root = config.root;
  registry_server::ServiceEvents events{
      .on_listening =
          [&](const std::vector<std::string>& urls) {
            for (const std::string& url : urls) terminal.note(fmt::format("serving '{}' at {}", root, url));
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

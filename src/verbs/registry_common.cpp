#include <tuple>

#include "launch/paths.h"
#include "launch/request.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {

bool is_transfer_verb(std::string_view name) {
  for (const char* known : {"pull", "push", "copy", "login", "logout", "tags", "search-tags", "delete"})
    if (name == known) return true;
  return name.starts_with("manifest ");
}

Result<int> transfer_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                          cli::Terminal& terminal) {
  if (name == "pull") return pull_verb(parsed, context, terminal);
  if (name == "push") return push_verb(parsed, context, terminal);
  if (name == "copy") return copy_image_verb(parsed, context, terminal);
  if (name == "login") return login_verb(parsed, context, terminal);
  if (name == "logout") return logout_verb(parsed, context, terminal);
  if (name == "tags" || name == "search-tags") return tags_verb(parsed, context, terminal);
  if (name == "delete") return delete_verb(parsed, context, terminal);
  if (name == "manifest inspect") return manifest_inspect_verb(parsed, context, terminal);
  if (name == "manifest referrers") return manifest_referrers_verb(parsed, context, terminal);
  return manifest_list_verb(name.substr(name.find(' ') + 1), parsed, context, terminal);
}

Result<oci::Reference> remote_name(std::string_view text) {
  if (text.starts_with(kDockerTransport)) text.remove_prefix(kDockerTransport.size());
  return oci::Reference::parse(text);
}

Result<registry::Host> registry_host(const cli::Parsed& parsed, const environment::Context& context) {
  if (context.offline) return Error(Code::unavailable, "a registry cannot be asked with --offline");
  registry::Host host{.home = context.host.home, .variables = context.host.variables,
                      .default_registry = context.default_registry,
                      .insecure = parsed.has("--insecure") || parsed.off("--tls-verify")};
  use_authfile(parsed, context, host);
  const auto given = TRY(credentials_of(parsed, "--creds"));
  std::tie(host.given_user, host.given_password) = given;
  return host;
}

void use_authfile(const cli::Parsed& parsed, const environment::Context& context, registry::Host& host) {
  if (!parsed.has("--authfile")) return;
  host.variables["REGISTRY_AUTH_FILE"] = launch::host_path(parsed.value("--authfile"), context.host.working_dir);
}

Result<std::pair<std::string, http::Secret>> credentials_of(const cli::Parsed& parsed, std::string_view flag) {
  const std::string text = parsed.value(flag);
  const size_t colon = text.find(':');
  if (text.empty()) return std::pair<std::string, http::Secret>();
  if (colon == 0 || colon == std::string::npos || colon + 1 == text.size())
    return Error(Code::invalid, "{} is not USER:PASSWORD", flag)
        .hint("`kist login REGISTRY` asks for the password, and keeps it");
  return std::pair(text.substr(0, colon), http::Secret(text.substr(colon + 1)));
}

Result<uint64_t> rate_of(const cli::Parsed& parsed) {
  if (!parsed.has("--limit-rate")) return 0;
  auto rate = launch::parse_size(parsed.value("--limit-rate"));
  if (rate) return rate;
  return std::move(rate).error().context("--limit-rate").hint("`--limit-rate 5m` is 5 MiB a second");
}

Result<oci::Platform> wanted_platform(const cli::Parsed& parsed) {
  const std::string text = parsed.value("--platform");
  if (text.empty()) return oci::Platform::host();
  // docker takes the architecture alone, too.
  auto platform = oci::Platform::parse(text.find('/') == std::string::npos ? "linux/" + text : text);
  if (!platform) return Error(platform.error()).context("--platform");
  return platform;
}

}  // namespace kist::verbs

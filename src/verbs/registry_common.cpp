#include "verbs/registry_verbs.h"

namespace kist::verbs {

bool is_transfer_verb(std::string_view name) {
  for (const char* known : {"pull", "push", "copy", "login", "logout", "tags", "search-tags", "manifest inspect"})
    if (name == known) return true;
  return false;
}

Result<int> transfer_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                          cli::Terminal& terminal) {
  if (name == "pull") return pull_verb(parsed, context, terminal);
  if (name == "push") return push_verb(parsed, context, terminal);
  if (name == "copy") return copy_image_verb(parsed, context, terminal);
  if (name == "login") return login_verb(parsed, context, terminal);
  if (name == "logout") return logout_verb(parsed, context, terminal);
  if (name == "tags" || name == "search-tags") return tags_verb(parsed, context, terminal);
  return manifest_inspect_verb(parsed, context, terminal);
}

Result<registry::Host> registry_host(const cli::Parsed& parsed, const environment::Context& context) {
  if (context.offline) return Error(Code::unavailable, "a registry cannot be asked with --offline");
  return registry::Host{.home = context.host.home, .variables = context.host.variables,
                        .default_registry = context.default_registry, .insecure = parsed.has("--insecure")};
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

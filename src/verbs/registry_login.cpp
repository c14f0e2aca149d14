// kist login, kist logout
#include <termios.h>
#include <unistd.h>

#include "base/text.h"
#include "os/files.h"
#include "registry/client.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

constexpr size_t kMostSecretBytes = 64 << 10;

Result<std::string> registry_named(const cli::Parsed& parsed, const registry::Host& host, std::string_view verb) {
  std::string name;
  if (!parsed.positionals().empty()) {
    name = parsed.positionals().front();
  } else {
    const auto conf = TRY(registry::read_registries_conf(host));
    name = registry::default_registry(host, conf);
  }
  for (const std::string_view scheme : {"https://", "http://"})
    if (name.starts_with(scheme)) name.erase(0, scheme.size());
  name = name.substr(0, name.find('/'));
  if (name.empty())
    return Error(Code::invalid, "no registry is named, and none is configured").hint(fmt::format("`kist {} REGISTRY`", verb));
  // Its grammar is that of a name's first part.
  TRY(oci::Reference::parse(name + "/x"), "the registry '{}'", printable(name));
  return name;
}

// One line from the terminal, without showing it.
Result<std::string> ask(std::string_view question, bool show) {
  if (::isatty(STDIN_FILENO) == 0)
    return Error(Code::invalid, "no terminal to ask for the {}", to_lower(question))
        .hint("`kist login -u NAME --password-stdin REGISTRY < FILE`");
  termios before = {};
  ::tcgetattr(STDIN_FILENO, &before);
  termios quiet = before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  const std::string prompt = fmt::format("{}: ", question);
  (void)!::write(STDERR_FILENO, prompt.data(), prompt.size());
  if (!show) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  std::string line;
  char c = 0;
  while (line.size() < kMostSecretBytes && ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') line += c;
  if (!show) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)!::write(STDERR_FILENO, "\n", 1);
  }
  return line;
}

Result<registry::Credentials> credentials_asked(const cli::Parsed& parsed, cli::Terminal& terminal) {
  registry::Credentials out;
  out.user = parsed.value("--username");
  if (parsed.has("--password") && parsed.has("--password-stdin"))
    return Error(Code::invalid, "--password and --password-stdin are mutually exclusive");
  if (parsed.has("--password-stdin")) {
    if (out.user.empty()) return Error(Code::invalid, "Must provide --username with --password-stdin");
    const os::Fd input(::dup(STDIN_FILENO));
    std::string secret = TRY(os::read_all(input, kMostSecretBytes), "the password");
    while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
    if (secret.empty()) return Error(Code::invalid, "--password-stdin: there is no password on stdin")
        .hint("`kist login -u NAME --password-stdin REGISTRY < FILE`");
    out.password = http::Secret(std::move(secret));
  } else if (parsed.has("--password")) {
    terminal.note("warning: others can see --password in the list of processes; use --password-stdin");
    out.password = http::Secret(parsed.value("--password"));
  }
  if (out.user.empty()) out.user = TRY(ask("Username", true));
  if (out.password.empty()) {
    std::string secret = TRY(ask("Password", false));
    out.password = http::Secret(std::move(secret));
  }
  if (out.user.empty() || out.user.find(':') != std::string::npos || out.password.empty())
    return Error(Code::invalid, "a login needs a name without ':' and a password");
  return out;
}

Result<int> show_login(const registry::Host& host, const std::string& name, cli::Terminal& terminal) {
  const auto known = TRY(registry::find_credentials(host, name, ""));
  if (!known) return Error(Code::not_found, "not logged in to {}", name).hint(fmt::format("`kist login {}`", name));
  terminal.line(printable(known->user.empty() ? "<token>" : known->user));
  return 0;
}

}  // namespace

Result<int> login_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const registry::Host host = TRY(registry_host(parsed, context));
  const std::string name = TRY(registry_named(parsed, host, "login"));
  if (parsed.has("--get-login")) return show_login(host, name, terminal);
  const registry::Credentials credentials = TRY(credentials_asked(parsed, terminal));
  const auto conf = TRY(registry::read_registries_conf(host));
  const oci::Reference any = TRY(oci::Reference::parse(name + "/login"));
  const auto addresses = TRY(registry::addresses_of(any, host, conf, true));
  registry::Session session(addresses.front(), host, *context.network);
  session.use(credentials);
  TRY(registry::check_login(session), "login to '{}'", printable(name));
  const std::string where = TRY(registry::store_credentials(host, name, credentials));
  terminal.note(fmt::format("the credentials are kept in {}", printable(where)));
  terminal.line("Login Succeeded");
  return 0;
}

Result<int> logout_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  registry::Host host{.home = context.host.home, .variables = context.host.variables,
                      .default_registry = context.default_registry, .insecure = false};
  use_authfile(parsed, context, host);
  if (parsed.has("--all")) {
    if (!parsed.positionals().empty()) return Error(Code::invalid, "--all takes no REGISTRY").hint("`kist logout --all`");
    const size_t count = TRY(registry::erase_all_credentials(host));
    terminal.line(count == 0 ? "Not logged in anywhere" : "Removed login credentials for all registries");
    return 0;
  }
  const std::string name = TRY(registry_named(parsed, host, "logout"));
  const bool was_there = TRY(registry::erase_credentials(host, name));
  // Another tool's login still counts for kist.
  const std::string other = TRY(registry::where_known(host, name));
  if (!other.empty())
    terminal.note(fmt::format("warning: {} still has a login for {}; `podman logout {}` removes it", printable(other), name, name));
  terminal.line(was_there ? fmt::format("Removing login credentials for {}", name) : fmt::format("Not logged in to {}", name));
  return 0;
}

}  // namespace kist::verbs

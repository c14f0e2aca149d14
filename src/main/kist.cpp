// kist, the program people call: static, and small on purpose. It starts containers of ready
// environments itself, in about a millisecond; everything else it hands to kist-engine, which is
// linked with what resolving, fetching and assembling need (docs/adr/0003-two-programs.md).
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "bundle/reaper.h"
#include "cli/run_args.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "container_cli/container_cli.h"
#include "launch/image.h"
#include "main/host.h"
#include "os/child.h"
#include "os/helper.h"
#include "runtime_cli/runtime_cli.h"

namespace kist {
namespace {

constexpr int kKistFailed = 125;  // As docker.

int fail(const Error& error, int status) {
  cli::Terminal("auto", ::getenv("NO_COLOR") != nullptr).error(error);
  return status;
}

int exec_engine(char** argv) {
  const std::string engine = sibling_program("kist-engine");
  ::execv(engine.c_str(), argv);
  return fail(Error::from_errno(errno, "start '{}'", engine)
                  .hint("build or install kist again: kist and kist-engine belong together"),
              kKistFailed);
}

// Byte-code that is not compiled yet is compiled while the program runs, if it runs for long enough
// to have felt that it is missing.
std::optional<os::Helper> complete_meanwhile(const launch::Ready& ready, const launch::Host& host) {
  if (ready.bytecode_plan.empty()) return std::nullopt;
  constexpr std::chrono::milliseconds kLongEnough{100};
  auto helper = os::Helper::start(
      {sibling_program("kist-engine"), "--compile-bytecode",
       launch::ready_path(host.kist_home, ready.project, ready.environment)}, kLongEnough);
  if (!helper) return std::nullopt;
  return std::move(*helper);
}

// The fast path: a fresh ready file, and nothing between here and the container.
int run_or_exec_engine(const cli::VerbSpec& verb, const std::vector<std::string>& args,
                       char** argv) {
  const auto parsed = cli::parse(verb, args);
  if (!parsed) return fail(parsed.error(), kKistFailed);
  if (parsed->has("--help")) return exec_engine(argv);
  const auto host = read_host();
  if (!host) return fail(host.error(), kKistFailed);
  if (parsed->has("--image")) {
    const bool is_ready = ::getenv(cli::kImageIsReady) != nullptr;
    ::unsetenv(cli::kImageIsReady);
    if (parsed->value("--pull") == "always" && !is_ready) return exec_engine(argv);
    // Begun anew, the program does not know any more where its engine lies.
    if (container_cli::is_reachable(*parsed) && launch::find_image(host->kist_home, parsed->value("--image")))
      runtime_cli::protect_program(argv, environ);
    cli::Terminal terminal("auto", ::getenv("NO_COLOR") != nullptr);
    const auto status = container_cli::run_image(*parsed, *host, terminal, verb.name == "create");
    return status ? *status : exec_engine(argv);
  }
  if (verb.name == "create")
    return fail(Error(Code::invalid, "kist create needs --image NAME").hint("`kist create --help`"), kKistFailed);
  if (parsed->positionals().empty() && verb.name == "run")
    return fail(Error(Code::invalid, "kist run needs CMD [ARG…]").hint("`kist run --help`"), kKistFailed);
  const auto request = cli::run_request(verb, *parsed, *host);
  if (!request) return fail(request.error(), kKistFailed);
  const auto ready = launch::find_ready(*request, *host);
  if (!ready) return exec_engine(argv);
  const os::Fd lease = launch::hold_lease(*ready);
  if (!lease.is_open()) return exec_engine(argv);
  const auto spec = launch::container_of(*ready, *request, *host);
  if (!spec) return fail(spec.error(), kKistFailed);
  const auto compiler = complete_meanwhile(*ready, *host);
  const auto status = runtime::run(*spec);
  if (!status) return fail(status.error(), kKistFailed);
  if (status->not_started) return fail(*status->not_started, status->status);
  return status->status;
}

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "" : value;
}

// `args` begins after the words "kist runtime", or after "kist-runtime".
int run_runtime(char** argv, const std::vector<std::string>& args) {
  // Before anything is opened: this begins the program anew.
  if (runtime_cli::enters_container(args)) runtime_cli::protect_program(argv, environ);
  runtime_cli::Caller caller = {.runtime_dir = variable("XDG_RUNTIME_DIR"), .path = variable("PATH"), .listen_fds = 0,
                                .protect = [argv] { runtime_cli::protect_program(argv, environ); }};
  if (const auto count = parse_number(variable("LISTEN_FDS")); count && *count < 1000)
    caller.listen_fds = static_cast<unsigned>(*count);
  return runtime_cli::run(args, caller);
}

bool is_called(const char* program, std::string_view name) {
  const std::string_view path = program;
  return path.substr(path.rfind('/') + 1) == name;
}

int run_container_verb(const cli::VerbSpec& verb, const std::vector<std::string>& args, char** argv) {
  const auto parsed = cli::parse(verb, args);
  cli::Terminal terminal("auto", ::getenv("NO_COLOR") != nullptr);
  if (!parsed) return fail(parsed.error(), verb.name == "exec" ? kKistFailed : cli::exit_status(parsed.error()));
  if (parsed->has("--help")) return exec_engine(argv);
  if (container_cli::enters_container(verb.name)) runtime_cli::protect_program(argv, environ);
  const auto host = read_host();
  if (!host) return fail(host.error(), kKistFailed);
  // What is no container may be an image.
  if (verb.name == "inspect" && container_cli::inspects_images(*parsed, *host)) return exec_engine(argv);
  // What is in a tar needs its reader.
  if (verb.name == "cp" && (parsed->positionals()[0] == "-" || parsed->positionals()[1] == "-")) return exec_engine(argv);
  const int status = container_cli::run(verb, *parsed, *host, terminal);
  const auto printed = terminal.finish();
  return printed || status != 0 ? status : fail(printed.error(), 1);
}

int kist_main(int argc, char** argv) {
  if (argc == 2 && argv[0] == bundle::kReaperName)
    if (const auto command = parse_number(argv[1]); command && *command < INT_MAX)
      bundle::reap_for(static_cast<pid_t>(*command));
  if (argc >= 1 && is_called(argv[0], "kist-runtime"))
    return run_runtime(argv, std::vector<std::string>(argv + 1, argv + argc));
  if (argc >= 2 && std::strcmp(argv[1], "runtime") == 0)
    return run_runtime(argv, std::vector<std::string>(argv + 2, argv + argc));
  if (argc == 2 && (std::strcmp(argv[1], "--version") == 0 || std::strcmp(argv[1], "version") == 0))
    return std::puts("kist " KIST_VERSION) < 0 ? 1 : 0;
  if (argc >= 2) {
    const auto all = cli::joined_words(std::vector<std::string>(argv + 1, argv + argc));
    const std::string& name = all[0];
    const std::vector<std::string> args(all.begin() + 1, all.end());
    if (container_cli::is_container_verb(name)) return run_container_verb(*cli::find_verb(name), args, argv);
    if (name == "run" || name == "create" || name == "shell" || name == "task") return run_or_exec_engine(*cli::find_verb(name), args, argv);
  }
  return exec_engine(argv);
}

}  // namespace
}  // namespace kist

int main(int argc, char** argv) { return kist::kist_main(argc, argv); }

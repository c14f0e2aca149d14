// create, run, start, exec.
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "bundle/spec_reader.h"
#include "os/files.h"
#include "runtime_cli/command.h"
#include "runtime_cli/foreground.h"

namespace kist::runtime_cli {
namespace {

Result<unsigned> preserved(const Arguments& arguments, const Caller& caller) {
  constexpr int64_t kMost = 1000;
  const std::optional<int64_t> given = TRY(arguments.number("preserve-fds"));
  if (given && (*given < 0 || *given > kMost))
    return Error(Code::invalid, "--preserve-fds: want 0 to {}, got {}", kMost, *given);
  return static_cast<unsigned>(given.value_or(0)) + caller.listen_fds;
}

Error no_place_for_terminal() {
  return Error(Code::invalid, "process.terminal is true, and nobody takes the terminal")
      .hint("give `--console-socket`, or run it without `--detach`");
}

bool has_terminal(const bundle::Spec& spec) { return spec.process && spec.process->terminal; }

// Nobody but the command will be inside before we have left, and it is not us: bundle::create sees to that.
bool shares_nothing(const Bundle& bundle) {
  const bundle::Spec& spec = bundle.spec;
  for (const uint64_t flag : {uint64_t{CLONE_NEWPID}, uint64_t{CLONE_NEWNS}}) {
    const bundle::Namespace* own = spec.find_namespace(flag);
    if (own == nullptr || !own->path.empty()) return false;
  }
  constexpr uint64_t kPowers = uint64_t{1} << CAP_SYS_ADMIN | uint64_t{1} << CAP_SYS_PTRACE;
  if (spec.process && spec.process->capabilities && (spec.process->capabilities->bounding & kPowers) != 0) return false;
  for (const bundle::Mount& mount : spec.mounts)
    if (mount.options.bind) return false;
  const bundle::Hooks& hooks = spec.hooks;
  return hooks.create_container.empty() && hooks.start_container.empty() && !bundle.options.no_pivot &&
         !(spec.seccomp && !spec.seccomp->listener_path.empty());
}

// "UID[:GID]"
Result<void> set_user(const std::string& text, bundle::User& user) {
  if (text.empty()) return {};
  const auto parts = split(text, ':');
  const auto uid = parse_number(parts[0]);
  const auto gid = parts.size() > 1 ? parse_number(parts[1]) : std::optional<uint64_t>(user.gid);
  if (!uid || !gid || parts.size() > 2 || *uid > UINT32_MAX || *gid > UINT32_MAX)
    return Error(Code::invalid, "--user: want UID or UID:GID as numbers, got '{}'", printable(text));
  user.uid = static_cast<uint32_t>(*uid);
  user.gid = static_cast<uint32_t>(*gid);
  return {};
}

Result<void> add_capabilities(const std::vector<std::string>& names, bundle::Process& process) {
  for (const std::string& name : names) {
    const auto number = bundle::capability_number(name);
    if (!number) return Error(Code::invalid, "--cap: no capability '{}'", printable(name));
    if (!process.capabilities) process.capabilities.emplace();
    const uint64_t bit = uint64_t{1} << *number;
    process.capabilities->bounding |= bit;
    process.capabilities->effective |= bit;
    process.capabilities->permitted |= bit;
    process.capabilities->ambient |= bit;
  }
  return {};
}

Result<bundle::Process> process_of_flags(const Context& context, const Arguments& arguments) {
  const auto& words = arguments.words();
  if (words.size() < 2) return Error(Code::invalid, "a command is wanted, or --process FILE");
  const bundle::Spec spec = TRY(bundle::spec_of(context.runtime, words[0]));
  if (!spec.process) return Error(Code::invalid, "the container has no process to take after");
  bundle::Process process = *spec.process;
  process.args.assign(words.begin() + 1, words.end());
  process.terminal = arguments.has("tty");
  process.console_rows = process.console_columns = 0;
  if (arguments.has("cwd")) process.cwd = arguments.text("cwd");
  if (!process.cwd.starts_with('/'))
    return Error(Code::invalid, "--cwd: want an absolute path, got '{}'", printable(process.cwd));
  for (std::string& variable : arguments.all("env")) process.env.push_back(std::move(variable));
  TRY(set_user(arguments.text("user"), process.user));
  for (const std::string& text : arguments.all("additional-gids")) {
    const auto gid = parse_number(text);
    if (!gid || *gid > UINT32_MAX)
      return Error(Code::invalid, "--additional-gids: want a number, got '{}'", printable(text));
    process.user.additional_gids.push_back(static_cast<uint32_t>(*gid));
  }
  if (arguments.has("apparmor")) process.apparmor_profile = arguments.text("apparmor");
  if (arguments.has("process-label")) process.selinux_label = arguments.text("process-label");
  if (arguments.has("no-new-privs")) process.no_new_privileges = true;
  TRY(add_capabilities(arguments.all("cap"), process));
  return process;
}

Result<bundle::Process> process_of(const Context& context, const Arguments& arguments) {
  const std::string path = arguments.text("process");
  if (path.empty()) return process_of_flags(context, arguments);
  const std::string bytes = TRY(os::read_file(path, bundle::kMaxConfigBytes), "--process");
  bundle::Process process = TRY(bundle::read_process(bytes), "'{}'", printable(path));
  if (arguments.has("tty")) process.terminal = true;
  return process;
}

}  // namespace

Result<Bundle> read_bundle(const Context& context, const Arguments& arguments) {
  Bundle out;
  bundle::CreateOptions& options = out.options;
  const std::string folder = arguments.text("bundle", ".");
  options.bundle = TRY(os::real_path(folder), "--bundle");
  const std::string path = os::join(options.bundle, "config.json");
  auto bytes = os::read_file(path, bundle::kMaxConfigBytes);
  if (!bytes)
    return Error(bytes.error())
        .context("reading the container's configuration")
        .hint("`kist runtime spec` writes a config.json");
  options.config_bytes = std::move(*bytes);
  out.spec = TRY(bundle::read_spec(options.config_bytes), "'{}'", printable(path));
  options.console_socket = arguments.text("console-socket");
  options.pidfd_socket = arguments.text("pidfd-socket");
  options.pid_file = arguments.text("pid-file");
  options.preserve_fds = TRY(preserved(arguments, *context.caller));
  options.no_pivot = arguments.has("no-pivot");
  options.no_new_keyring = arguments.has("no-new-keyring");
  if (context.caller->listen_fds > 0 && out.spec.process) {
    auto& env = out.spec.process->env;
    env.push_back(fmt::format("LISTEN_FDS={}", context.caller->listen_fds));
    env.push_back("LISTEN_PID=1");
  }
  for (const std::string& name :
       out.spec.process && out.spec.process->capabilities ? out.spec.process->capabilities->unknown
                                                          : std::vector<std::string>())
    context.runtime.warn(fmt::format("process.capabilities: no kernel has '{}'", printable(name)));
  return out;
}

Result<int> run_create(const Context& context, const Arguments& arguments) {
  const Bundle bundle = TRY(read_bundle(context, arguments));
  if (has_terminal(bundle.spec) && bundle.options.console_socket.empty())
    return no_place_for_terminal();
  TRY(bundle::create(context.runtime, arguments.words()[0], bundle.spec, bundle.options));
  return 0;
}

Result<int> run_run(const Context& context, const Arguments& arguments) {
  Bundle bundle = TRY(read_bundle(context, arguments));
  if (!shares_nothing(bundle) && context.caller->protect) context.caller->protect();
  const bool detach = arguments.has("detach");
  const std::string& id = arguments.words()[0];
  if (has_terminal(bundle.spec) && detach && bundle.options.console_socket.empty())
    return no_place_for_terminal();
  if (!detach && !arguments.has("no-subreaper")) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (!detach) hold_signals();
  // As runc, for who reads it from a pipe.
  bundle.options.streams.plain_newlines = has_terminal(bundle.spec) && bundle.options.console_socket.empty();
  const bundle::Created created =
      TRY(bundle::create_started(context.runtime, id, bundle.spec, bundle.options));
  if (detach) return 0;
  const Result<int> status = stand_in_for(created);
  if (!arguments.has("keep")) {
    const auto removed = bundle::remove(context.runtime, id, {.force = true, .spec = &bundle.spec});
    if (!removed) context.log->write(Log::Level::warning, removed.error().message());
  }
  return status;
}

Result<int> run_start(const Context& context, const Arguments& arguments) {
  TRY(bundle::start(context.runtime, arguments.words()[0]));
  return 0;
}

Result<int> run_exec(const Context& context, const Arguments& arguments) {
  bundle::ExecOptions options;
  options.console_socket = arguments.text("console-socket");
  options.pidfd_socket = arguments.text("pidfd-socket");
  options.pid_file = arguments.text("pid-file");
  options.preserve_fds = TRY(preserved(arguments, *context.caller));
  options.ignore_paused = arguments.has("ignore-paused");
  options.cgroups = arguments.all("cgroup");
  const bundle::Process process = TRY(process_of(context, arguments));
  const bool detach = arguments.has("detach");
  if (process.terminal && detach && options.console_socket.empty()) return no_place_for_terminal();
  if (!detach) hold_signals();
  options.streams.plain_newlines = process.terminal && options.console_socket.empty();
  const bundle::Created created =
      TRY(bundle::exec(context.runtime, arguments.words()[0], process, options));
  if (detach) return 0;
  return stand_in_for(created);
}

}  // namespace kist::runtime_cli

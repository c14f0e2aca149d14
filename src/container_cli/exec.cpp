// kist exec
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/text.h"
#include "cli/run_args.h"
#include "container_cli/verb.h"

namespace kist::container_cli {
namespace {

Result<std::vector<std::string>> variables_of(const cli::Parsed& parsed, const launch::Host& host) {
  std::vector<std::string> out;
  for (const std::string& path : parsed.values("--env-file")) {
    const std::string text = TRY(os::read_file(path, 1 << 20), "--env-file");
    auto more = TRY(cli::parse_env_file(text, path, host));
    out.insert(out.end(), more.begin(), more.end());
  }
  for (const std::string& text : parsed.values("--env")) {
    const auto found = host.variables.find(text);
    if (text.find('=') != std::string::npos) out.push_back(text);
    else if (found != host.variables.end()) out.push_back(text + "=" + found->second);
  }
  return out;
}

int status_of(pid_t pid) {
  int how = 0;
  while (::waitpid(pid, &how, 0) < 0)
    if (errno != EINTR) return kKistFailed;
  return WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
}

void copy_size(const os::Fd& terminal) {
  winsize size = {};
  if (::ioctl(1, TIOCGWINSZ, &size) == 0) ::ioctl(terminal.get(), TIOCSWINSZ, &size);
}

// Until nobody holds the other end any more.
void join_terminals(const os::Fd& terminal, bool input) {
  termios before = {};
  const bool raw = input && ::tcgetattr(0, &before) == 0;
  if (raw) {
    termios keys = before;
    ::cfmakeraw(&keys);
    ::tcsetattr(0, TCSANOW, &keys);
  }
  sigset_t watched;
  ::sigemptyset(&watched);
  ::sigaddset(&watched, SIGWINCH);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  const os::Fd resized(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  copy_size(terminal);
  std::array<char, 1 << 15> buffer;
  const os::Fd out(::dup(1));
  for (bool reads = input;;) {
    pollfd events[] = {{terminal.get(), POLLIN, 0}, {resized.get(), POLLIN, 0}, {reads ? 0 : -1, POLLIN, 0}};
    if (::poll(events, 3, -1) < 0 && errno != EINTR) break;
    if (events[1].revents != 0) {
      signalfd_siginfo got = {};
      while (::read(resized.get(), &got, sizeof got) > 0) copy_size(terminal);
    }
    if (events[0].revents != 0) {
      const ssize_t got = ::read(terminal.get(), buffer.data(), buffer.size());
      if (got <= 0) break;
      (void)os::write_all(out, {buffer.data(), static_cast<size_t>(got)}).has_value();
    }
    if (events[2].revents != 0) {
      const ssize_t got = ::read(0, buffer.data(), buffer.size());
      if (got <= 0) reads = false;
      else (void)os::write_all(terminal, {buffer.data(), static_cast<size_t>(got)}).has_value();
    }
  }
  if (raw) ::tcsetattr(0, TCSANOW, &before);
}

}  // namespace

Result<int> exec_verb(const cli::Parsed& parsed, const Here& here) {
  const containers::Record record = TRY(here.record(parsed.positionals()[0]));
  const containers::Status status = TRY(here.place.status(record.id));
  containers::ExecRequest request;
  request.args.assign(parsed.positionals().begin() + 1, parsed.positionals().end());
  request.env = TRY(variables_of(parsed, here.host));
  request.user = parsed.value("--user");
  request.working_dir = parsed.value("--workdir");
  request.tty = parsed.has("--tty");
  request.privileged = parsed.has("--privileged");
  const bool input = parsed.has("--interactive");
  const bool detach = parsed.has("--detach");
  if (request.tty && input && !detach && ::isatty(0) == 0) {
    here.terminal.error(no_terminal());
    return 1;  // As docker.
  }
  const os::Fd nothing = TRY(os::open_file("/dev/null", O_RDWR));
  bundle::StandardStreams streams;
  if (!request.tty) {
    if (!input || detach) streams.input = &nothing;
    if (detach) streams.output = streams.error = &nothing;
  }
  const std::string command = fmt::format("{}", fmt::join(request.args, " "));
  containers::note(here.place, record, "exec_create: " + command);
  auto made = containers::exec(here.runtime, record, status, request, streams);
  if (!made) {
    here.terminal.error(made.error());
    return containers::exit_code_of(made.error());
  }
  containers::note(here.place, record, "exec_start: " + command);
  if (detach) return 0;
  if (made->terminal.is_open()) join_terminals(made->terminal, input);
  const int exit_code = status_of(made->pid);
  containers::note(here.place, record, "exec_die", {{"exitCode", fmt::format("{}", exit_code)}});
  return exit_code;
}

}  // namespace kist::container_cli

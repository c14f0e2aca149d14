#include "runtime_cli/foreground.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

namespace kist::runtime_cli {
namespace {

constexpr int kSignalBase = 128;

// All but those that say something about ourselves.
sigset_t forwarded() {
  sigset_t set;
  ::sigfillset(&set);
  for (const int number : {SIGPIPE, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGURG, SIGTTOU})
    ::sigdelset(&set, number);
  return set;
}

// Reaps all that has ended; the status of `pid` if it is among them.
std::optional<int> reap(pid_t pid) {
  std::optional<int> out;
  int status = 0;
  pid_t got;
  while ((got = ::waitpid(-1, &status, WNOHANG)) > 0)
    if (got == pid) out = WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status);
  return out;
}

void pass_on(const bundle::Created& created, int number) {
  if (created.terminal.is_open() && number == SIGWINCH) {
    winsize size = {};
    if (::ioctl(0, TIOCGWINSZ, &size) == 0) ::ioctl(created.terminal.get(), TIOCSWINSZ, &size);
    return;
  }
  (void)::syscall(SYS_pidfd_send_signal, created.pidfd.get(), number, nullptr, 0);
}

int wait_by_signals(const bundle::Created& created, const sigset_t& set) {
  while (true) {
    if (const auto status = reap(created.pid)) return *status;
    siginfo_t info = {};
    const int number = ::sigwaitinfo(&set, &info);
    if (number > 0 && number != SIGCHLD) pass_on(created, number);
  }
}

class RawTerminal {
 public:
  RawTerminal() {
    if (::tcgetattr(0, &before_) != 0) return;
    changed_ = true;
    termios raw = before_;
    ::cfmakeraw(&raw);
    raw.c_oflag |= OPOST;  // The container's terminal leaves newlines to this one.
    ::tcsetattr(0, TCSANOW, &raw);
  }
  ~RawTerminal() {
    if (changed_) ::tcsetattr(0, TCSANOW, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios before_ = {};
  bool changed_ = false;
};

// False: nothing more will come.
bool copy(int from, int to) {
  char part[16384];
  const ssize_t got = ::read(from, part, sizeof part);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) return false;
  for (ssize_t done = 0; done < got;) {
    const ssize_t wrote = ::write(to, part + done, static_cast<size_t>(got - done));
    if (wrote < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (wrote > 0) done += wrote;
  }
  return true;
}

Result<int> wait_with_terminal(const bundle::Created& created, const sigset_t& set) {
  const os::Fd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.is_open()) return Error::from_errno(errno, "wait for signals");
  const RawTerminal raw;
  pass_on(created, SIGWINCH);
  const int master = created.terminal.get();
  pollfd polled[] = {{signals.get(), POLLIN, 0}, {master, POLLIN, 0}, {0, POLLIN, 0}};
  std::optional<int> status = reap(created.pid);
  while (!status || polled[1].fd >= 0) {
    // Once it has ended, only what it has written is left to be shown.
    const int ready = ::poll(polled, 3, status ? 0 : -1);
    if (ready == 0 && status) break;
    if (polled[1].revents != 0 && !copy(master, 1)) polled[1].fd = -1;
    if (polled[2].revents != 0 && !copy(0, master)) polled[2].fd = -1;
    signalfd_siginfo info = {};
    while (::read(signals.get(), &info, sizeof info) == sizeof info)
      if (info.ssi_signo != SIGCHLD) pass_on(created, static_cast<int>(info.ssi_signo));
    if (!status) status = reap(created.pid);
  }
  return *status;
}

}  // namespace

void hold_signals() {
  const sigset_t set = forwarded();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

Result<int> stand_in_for(const bundle::Created& created) {
  const sigset_t set = forwarded();
  if (created.terminal.is_open()) return wait_with_terminal(created, set);
  return wait_by_signals(created, set);
}

}  // namespace kist::runtime_cli

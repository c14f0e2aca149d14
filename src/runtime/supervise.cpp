#include "runtime/supervise.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "os/files.h"
#include "runtime/report.h"
#include "runtime/signals.h"

namespace kist::runtime {
namespace {

struct Outcome {
  std::optional<Error> setup_error;
  std::optional<Error> not_started;
  std::optional<int> stop_signal;
};

Error error_of(const Report& report) {
  const std::string text = printable({report.text, report.header.text_size}, Report::kMaxText);
  if (report.header.error != 0) return Error::from_errno(report.header.error, "{}", text);
  return Error(report.header.number == 127 ? Code::not_found : Code::invalid, "{}", text);
}

void note(const Report& report, Outcome& outcome) {
  switch (report.header.kind) {
    case Report::Kind::setup_failed:
      outcome.setup_error = report.header.error == EINVAL && in_chroot()
                                ? error_of(report).hint(kChrootHint)
                                : error_of(report);
      return;
    case Report::Kind::mount_refused:
      outcome.setup_error =
          error_of(report)
              .context("this system lets a plain user make a user namespace, but not mount in it")
              .hint("`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`");
      return;
    case Report::Kind::not_executed:
      outcome.not_started = error_of(report);
      return;
    case Report::Kind::command_stopped:
      outcome.stop_signal = static_cast<int>(report.header.number);
      return;
  }
}

// Every report is written in one piece below PIPE_BUF, so a header is followed by its text. False
// at the end.
bool read_reports(const os::Fd& pipe, Outcome& outcome) {
  Report report;
  const ssize_t got = ::read(pipe.get(), &report.header, sizeof report.header);
  if (got < 0 && errno == EINTR) return true;
  if (got != sizeof report.header || report.header.text_size > Report::kMaxText) return false;
  if (report.header.text_size > 0 &&
      ::read(pipe.get(), report.text, report.header.text_size) != report.header.text_size)
    return false;
  note(report, outcome);
  return true;
}

void pass_on(const signalfd_siginfo& got, pid_t first_process) {
  // From the terminal: it went to the whole foreground group, and who is in it has it already.
  if (got.ssi_code == SI_KERNEL) return;
  siginfo_t info = {};
  info.si_signo = static_cast<int>(got.ssi_signo);
  info.si_code = SI_QUEUE;
  ::syscall(SYS_rt_sigqueueinfo, first_process, info.si_signo, &info);
}

// Stops as the command has stopped, so that the caller's shell sees its job stop.
void stop(int number) {
  // What stops a terminal's job has reached us as well, and is pending; a plain SIGSTOP has not.
  const bool maskable = number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
  sigset_t one;
  ::sigemptyset(&one);
  ::sigaddset(&one, number);
  ::raise(number);
  if (!maskable) return;
  ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);  // Stops here.
  ::pthread_sigmask(SIG_BLOCK, &one, nullptr);
}

Result<void> follow(pid_t first_process, const os::Fd& pipe, Outcome& outcome) {
  const sigset_t forwarded = forwarded_signals();
  const os::Fd signals(::signalfd(-1, &forwarded, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.is_open()) return Error::from_errno(errno, "make a signalfd");
  while (true) {
    pollfd polled[] = {{pipe.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}};
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
    signalfd_siginfo got;
    while ((polled[1].revents & POLLIN) != 0 &&
           ::read(signals.get(), &got, sizeof got) == sizeof got)
      pass_on(got, first_process);
    if (polled[0].revents == 0) continue;
    outcome.stop_signal.reset();
    if (!read_reports(pipe, outcome)) return {};
    if (outcome.stop_signal) stop(*outcome.stop_signal);
  }
}

Result<int> reap(pid_t first_process) {
  int status = 0;
  while (::waitpid(first_process, &status, 0) < 0)
    if (errno != EINTR) return Error::from_errno(errno, "wait for the container");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

SignalsHeld::SignalsHeld() : held_(true) {
  const sigset_t watched = watched_signals();
  ::pthread_sigmask(SIG_BLOCK, &watched, &original_);
  struct sigaction action = {};
  child_was_ignored_ = ::sigaction(SIGCHLD, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
  if (child_was_ignored_) ::signal(SIGCHLD, SIG_DFL);
}

SignalsHeld::~SignalsHeld() {
  if (child_was_ignored_) ::signal(SIGCHLD, SIG_IGN);
  release();
}

void SignalsHeld::release() {
  if (std::exchange(held_, false)) ::pthread_sigmask(SIG_SETMASK, &original_, nullptr);
}

bool in_chroot() {
  const auto mounts = os::read_file("/proc/self/mountinfo", 16 << 20);
  if (!mounts) return false;
  for (const std::string_view line : lines(*mounts)) {
    const auto fields = split(line, ' ');
    if (fields.size() > 4 && fields[4] == "/") return false;
  }
  return true;
}

Result<Exit> supervise(pid_t first_process, os::Fd reports, bool forward) {
  Outcome outcome;
  if (forward)
    TRY(follow(first_process, reports, outcome));
  else
    while (read_reports(reports, outcome)) {
    }
  const int status = TRY(reap(first_process));
  if (outcome.setup_error) return std::move(*outcome.setup_error);
  return Exit{.status = status, .not_started = std::move(outcome.not_started)};
}

}  // namespace kist::runtime

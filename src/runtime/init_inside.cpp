// The first process: it reaps orphans, passes signals on, and ends as the command ends.
//
// The command is in the caller's process group, so that pipelines, Ctrl-C, Ctrl-Z and background
// jobs work without us: the terminal signals the group, and the command is in it. What is left to
// pass on is what was sent to the caller alone. But when somebody signals the whole group (a
// shell's `kill %1`), the command has it already, and the caller, who cannot tell the two apart,
// passes it on all the same. We can: we are in the group too. A signal that reaches us directly was
// for the group; one that the caller passes on comes queued. So a queued one that has just been
// seen directly is dropped, or a program that gives up at the second Ctrl-C would at the first.
#include <linux/capability.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/kernel.h"
#include "runtime/capabilities.h"
#include "runtime/inside.h"
#include "runtime/signals.h"

namespace kist::runtime {
namespace {

constexpr int kSignalBase = 128;
constexpr int64_t kSameSignalNs = 100'000'000;

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

void reap(pid_t command, const Reporter& report) {
  int status = 0;
  pid_t pid;
  while ((pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
    if (pid != command) continue;
    if (WIFSTOPPED(status))
      report.send(Report::Kind::command_stopped, 0, static_cast<uint32_t>(WSTOPSIG(status)), "");
    else
      // The kernel kills all that is left when we exit, and waits for it.
      ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status));
  }
}

}  // namespace

void be_init(pid_t command, const Reporter& report) {
  // Holding a pipe's end open would keep its reader waiting after the command has closed it.
  const int pipe = ::dup2(report.fd(), 0);
  os::kernel::close_range(1, ~0u, 0);
  const Reporter kept(pipe);
  os::kernel::set_capabilities(os::kernel::capabilities() & capability(CAP_KILL));
  const sigset_t watched = watched_signals();
  int64_t seen_ns[kMaxSignal + 1] = {};
  while (true) {
    siginfo_t info = {};
    const int number = ::sigwaitinfo(&watched, &info);
    if (number == SIGCHLD) {
      reap(command, kept);
    } else if (number > 0 && number <= kMaxSignal) {
      if (info.si_code != SI_QUEUE)
        seen_ns[number] = now_ns();
      else if (now_ns() - seen_ns[number] > kSameSignalNs)
        ::kill(command, number);
    }
  }
}

}  // namespace kist::runtime

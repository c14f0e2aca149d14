// --init: the first process reaps orphans and passes signals on; the command is its child. Everything that
// the command may not have was let go of before, by both.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "bundle/inside.h"
#include "bundle/reaper.h"
#include "os/kernel.h"

namespace kist::bundle {
namespace {

sigset_t watched_signals() {
  sigset_t watched;
  ::sigfillset(&watched);
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) ::sigdelset(&watched, number);
  return watched;
}

// A group of its own, in the foreground, so that what a key sends reaches the command once.
void take_foreground() {
  ::setpgid(0, 0);
  if (::isatty(0) == 0) return;
  ::signal(SIGTTOU, SIG_IGN);
  ::tcsetpgrp(0, ::getpid());
}

}  // namespace

void reap_for(pid_t command) {
  const sigset_t watched = watched_signals();
  ::sigprocmask(SIG_SETMASK, &watched, nullptr);
  // An end of a pipe held open here would keep its reader waiting after the command has closed it.
  os::kernel::close_range(0, ~0u, 0);
  constexpr int kSignalBase = 128;
  while (true) {
    int status = 0;
    pid_t pid;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0)
      // The kernel kills all that is left when the first process exits.
      if (pid == command) ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status));
    if (pid < 0 && errno == ECHILD) ::_exit(kSignalBase);
    const int number = ::sigwaitinfo(&watched, nullptr);
    // Of a terminal, to its foreground group: the command has them already.
    if (number > 0 && number != SIGCHLD && number != SIGTTIN && number != SIGTTOU) ::kill(command, number);
  }
}

Result<void> put_reaper_in_front(const os::Fd& program) {
  const sigset_t watched = watched_signals();
  // Held back over the exec, so that none is lost.
  ::sigprocmask(SIG_SETMASK, &watched, nullptr);
  const pid_t command = ::fork();
  if (command < 0) return Error::from_errno(errno, "start the command below an init");
  if (command == 0) {
    take_foreground();
    return {};
  }
  const std::string name(kReaperName);
  const std::string number = fmt::format("{}", command);
  const char* const args[] = {name.c_str(), number.c_str(), nullptr};
  const char* const none[] = {nullptr};
  ::syscall(SYS_execveat, program.get(), "", args, none, AT_EMPTY_PATH);
  // A filter may forbid it; then the command is not to run either.
  ::kill(command, SIGKILL);
  ::_exit(125);
}

}  // namespace kist::bundle

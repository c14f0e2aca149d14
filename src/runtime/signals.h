// Which signals are passed on to a container.
#pragma once

#include <signal.h>

namespace kist::runtime {

constexpr int kForwarded[] = {SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
                              SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP};
constexpr int kMaxSignal = 31;

inline sigset_t forwarded_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : kForwarded) ::sigaddset(&set, number);
  return set;
}

/// What is blocked while a container runs, so that it waits for sigwaitinfo: also the end of a
/// child, and the stops that the terminal gives to a whole group, which the caller takes when the
/// command has taken them.
inline sigset_t watched_signals() {
  sigset_t set = forwarded_signals();
  for (const int number : {SIGCHLD, SIGTTIN, SIGTTOU}) ::sigaddset(&set, number);
  return set;
}

}  // namespace kist::runtime

// Which thread takes a signal that is sent to the process: by default any that does not block it.
#pragma once

#include <signal.h>

namespace kist::os {

/// For threads that live beside a container: the thread that waits for it passes signals on, or lets
/// them end the program, and must be the only one to get them. Children made by this thread would
/// inherit it: a helper of ours resets it, other programs must not be started from here.
inline void leave_signals_to_others() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace kist::os

// What the process outside does while the container runs.
#pragma once

#include <signal.h>

#include <optional>

#include "os/fd.h"
#include "runtime/container.h"

namespace kist::runtime {

/// Blocks what `watched_signals` names for the calling thread, and sees to it that SIGCHLD is not
/// ignored, or the kernel would reap our children itself and forget how they ended. Puts both back.
class SignalsHeld {
 public:
  SignalsHeld();
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  ~SignalsHeld();
  /// Puts the mask back early.
  void release();
  const sigset_t& original() const { return original_; }
  bool child_was_ignored() const { return child_was_ignored_; }

 private:
  sigset_t original_ = {};
  bool held_ = false;
  bool child_was_ignored_ = false;
};

/// Whether "/" is no mount point: the kernel then lets nobody make mounts private, or a user
/// namespace.
bool in_chroot();
/// What to do about it.
inline constexpr const char* kChrootHint =
    "leave this chroot, `mount --rbind ROOT ROOT` on its folder, and enter it with pivot_root or "
    "`systemd-nspawn -D ROOT`";

/// Reads reports until the first process inside is gone, and reaps it. `forward`: passes signals on
/// and stops with the command; the signals must be held.
Result<Exit> supervise(pid_t first_process, os::Fd reports, bool forward);

}  // namespace kist::runtime

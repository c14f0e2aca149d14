// A container that is its caller's own child: no supervisor, no log, nothing between its output and
// the caller's.
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <csignal>

#include "base/text.h"
#include "containers/lifecycle.h"
#include "containers/notes.h"

namespace kist::containers {
namespace {

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// Blocked here, so that they can be read; the command inside starts with none blocked.
os::Fd watch_signals(bool pass) {
  sigset_t watched;
  ::sigemptyset(&watched);
  if (pass)
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH})
      ::sigaddset(&watched, number);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  return os::Fd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
}

void pass_on(const os::Fd& signals, Machine& machine) {
  signalfd_siginfo got = {};
  while (::read(signals.get(), &got, sizeof got) == sizeof got)
    (void)machine.signal(static_cast<int>(got.ssi_signo)).has_value();
}

int wait_for(const Started& started, const os::Fd& signals, Machine& machine) {
  for (;;) {
    std::vector<pollfd> events = {{started.pidfd.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}};
    const size_t of_machine = events.size();
    machine.add_to(events);
    if (!wait_for_events(events, machine.deadline())) return 255;
    machine.look_at(events, of_machine);
    if (events[1].revents != 0) pass_on(signals, machine);
    if (events[0].revents == 0) continue;
    siginfo_t how = {};
    if (::waitid(P_PIDFD, static_cast<id_t>(started.pidfd.get()), &how, WEXITED) != 0) return 255;
    return how.si_code == CLD_EXITED ? how.si_status : 128 + how.si_status;
  }
}

}  // namespace

Result<int> run_here(StartContext context, const Record& record, bool pass_signals) {
  const os::Fd alive = TRY(context.place.take_over(record));
  Status status = TRY(context.place.status(record.id));
  Container machine(std::move(context.host));
  // Before there is anything that a signal to us could leave behind.
  const os::Fd signals = watch_signals(pass_signals);
  auto started = machine.start(record, {});
  if (!started) {
    machine.ended(status);
    return std::move(started).error();
  }
  status.phase = Phase::running;
  status.pid = started->pid;
  status.pid_start = start_of_process(started->pid);
  status.supervisor = ::getpid();
  status.started_ns = now_ns();
  status.ports = started->ports;
  (void)context.place.write(status).has_value();
  note(context.place, record, "start");
  status.exit_code = wait_for(*started, signals, machine);
  status.phase = Phase::exited;
  status.pid = 0;
  status.ports.clear();
  status.finished_ns = now_ns();
  machine.ended(status);
  note_end(context.place, record, status);
  if (!record.auto_remove) (void)context.place.write(status).has_value();
  return status.exit_code;
}

}  // namespace kist::containers

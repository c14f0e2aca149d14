// One small process for each container that is not its caller's own: keeps what it prints, lets
// clients attach, starts it again as its policy says, and writes down how it ended.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "containers/place.h"
#include "os/fd.h"

namespace kist::containers {

/// For the command's 0, 1 and 2; with a terminal none is open.
struct Streams {
  os::Fd input, output, error;
};

struct Started {
  pid_t pid = 0;
  os::Fd pidfd;
  os::Fd terminal;  // The supervisor's end, if the command has a terminal.
  std::string ports;  // As `ps` shows them.
};

constexpr int64_t kNoDeadline = INT64_MAX;

/// What a supervisor supervises; the real one makes a container, tests have others.
class Machine {
 public:
  virtual ~Machine() = default;
  /// Once for each (re)start. Errors are written into the status.
  virtual Result<Started> start(const Record& record, const Streams& streams) = 0;
  virtual Result<void> signal(int number) = 0;
  /// All that is left of it, after the first process has ended. Adds to `status` what the cgroups
  /// tell: memory, why it was killed.
  virtual void ended(Status& status) = 0;
  /// Starts a health check as a child of this process, its output in `output`.
  virtual Result<Started> probe(const Record& record, const std::vector<std::string>& args,
                                const os::Fd& output) = 0;

  /// What else its keeper looks after while it waits, as HealthMonitor has it: none.
  virtual void add_to(std::vector<pollfd>& /*events*/) const {}
  virtual void look_at(const std::vector<pollfd>& /*events*/, size_t /*first*/) {}
  virtual int64_t deadline() const { return kNoDeadline; }
};

/// Waits until one of `events` happens, at most until a deadline of CLOCK_BOOTTIME. False: it cannot.
bool wait_for_events(std::vector<pollfd>& events, int64_t deadline_ns);

/// Looks after the container until it has ended for good; returns its exit status. `started` is
/// written to once it runs, or once it cannot, and closed: one line, "ok", or the exit status and
/// the percent-encoded error. The caller has one thread, and holds what Place::look_after gave.
/// `first_client`: a socket (SOCK_NONBLOCK) of somebody who is attached from the first byte on; may be
/// none.
int supervise(const Place& place, Record record, Machine& machine, os::Fd started, os::Fd first_client = {});

/// As docker counts what could not be started: 127 the command is not there, 126 it cannot be executed,
/// 125 all else.
int exit_code_of(const Error& error);

/// Seconds until the next start: 0.1 s, doubled with each failure in a row, at most a minute. A
/// container that ran for ten seconds begins anew.
int64_t restart_delay_ns(uint64_t failures_in_a_row);

/// Whether the policy wants it started again.
bool wants_restart(const RestartPolicy& policy, const Status& status);

}  // namespace kist::containers

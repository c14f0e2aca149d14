// What is done to containers: one function a verb. Each may be called from another process than the
// one that made the container; all agree through Place and the supervisor's socket.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "containers/machine.h"
#include "containers/place.h"

namespace kist::containers {

/// All that a container is started with. `lease` is held for as long as its root is in use.
struct StartContext {
  const Place& place;
  MachineHost host;
  os::Fd lease;
};

/// Writes hosts, hostname and resolv.conf into the container's folder. `host_files`: the host's own
/// are good, as its network is the container's.
Result<void> write_network_files(const Place& place, const Record& record);

/// Starts it with a supervisor of its own, which outlives the caller. Returns when it runs.
/// Errors: what kept it from starting (`exit_code` says how docker counts that); invalid (it runs).
/// `client`: gets a connection that is attached from the first byte on; null: nobody attaches.
Result<void> start_detached(StartContext context, const Record& record, int& exit_code, os::Fd* client = nullptr);

/// Starts it as a child of this process, with its own 0, 1 and 2, and waits for its end. Signals are
/// passed on. Returns its exit status, as docker's run.
Result<int> run_here(StartContext context, const Record& record, bool pass_signals);

/// Errors of all: not_found, denied.
/// Stops a running container and waits for its end. `signal` 0: its own. `timeout_s` negative: never kill.
Result<void> stop(const Place& place, const bundle::Runtime& runtime, const Record& record, int signal,
                  int64_t timeout_s);
/// Sends a signal to the first process. Errors: invalid (it does not run).
Result<void> kill(const Place& place, const bundle::Runtime& runtime, const Record& record, int signal);
/// Waits until it has ended; its exit status.
Result<int> wait(const Place& place, const Record& record);
struct RemoveHow {
  bool force = false;         // Kill it first.
  bool with_volumes = false;  // Those without a name that it alone has.
};
/// Errors: invalid (it runs).
Result<void> remove(const Place& place, const Volumes& volumes, const bundle::Runtime& runtime, const Record& record,
                    const RemoveHow& how);
/// The processes inside, as the host counts them; where there are no cgroups of its own, those in the
/// pid namespace of the first. Errors: invalid (it does not run).
Result<std::vector<pid_t>> processes(const bundle::Runtime& runtime, const Record& record, const Status& status);
/// By its cgroup, else the sum over its processes: memory that they share counts for each. Errors: invalid (it does
/// not run).
Result<bundle::Usage> usage(const bundle::Runtime& runtime, const Record& record, const Status& status);
/// Halts or lets go on. Errors: invalid (it does not run, it is in that state).
Result<void> pause(const Place& place, const bundle::Runtime& runtime, const Record& record, bool halt);

}  // namespace kist::containers

#include "runtime/container.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "os/files.h"
#include "os/kernel.h"
#include "runtime/cgroups.h"
#include "runtime/inside.h"
#include "runtime/supervise.h"

namespace kist::runtime {
namespace {

struct Pipe {
  os::Fd read_end;
  os::Fd write_end;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno(errno, "make a pipe");
  return Pipe{os::Fd(ends[0]), os::Fd(ends[1])};
}

uint64_t namespaces(const Plan& plan) {
  uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  if (plan.user_namespace) flags |= CLONE_NEWUSER;
  if (plan.spec->network == Network::none) flags |= CLONE_NEWNET;
  if (plan.cgroup_namespace && plan.cgroup_procs.empty()) flags |= CLONE_NEWCGROUP;
  return flags;
}

Error no_namespaces(int error, bool user_namespace) {
  Error cause = Error::from_errno(error, "make the namespaces of the container");
  if (!user_namespace) return cause;
  Error failed = std::move(cause).context("this system does not let a plain user make a container");
  if (in_chroot()) return std::move(failed).hint(kChrootHint);
  if (error == ENOSPC)
    return std::move(failed).hint("`sudo sysctl user.max_user_namespaces=65536`");
  return std::move(failed).hint("`sudo sysctl kernel.unprivileged_userns_clone=1`");
}

// Returns twice: 0 in the new process.
Result<pid_t> clone_container(Plan& plan) {
  choose_user_namespace(plan, ::geteuid() != 0);
  clone_args args = {};
  args.exit_signal = SIGCHLD;
  args.flags = namespaces(plan);
  pid_t child = os::kernel::clone3(args);
  if (child < 0 && errno == EPERM && !plan.user_namespace) {
    // Root by name only, as inside another container.
    choose_user_namespace(plan, true);
    args.flags = namespaces(plan);
    child = os::kernel::clone3(args);
  }
  if (child < 0) return no_namespaces(errno, plan.user_namespace);
  return child;
}

Result<Exit> run_planned(Plan& plan) {
  Pipe pipe = TRY(make_pipe());
  SignalsHeld signals;
  plan.signal_mask = signals.original();
  plan.ignores_child_signal = signals.child_was_ignored();
  const pid_t child = TRY(clone_container(plan));
  if (child == 0) become_container(plan, Reporter(pipe.write_end.get()));
  pipe.write_end = os::Fd();
  if (!plan.spec->forward_signals) signals.release();
  return TRY(supervise(child, std::move(pipe.read_end), plan.spec->forward_signals));
}

}  // namespace

Result<Exit> run(const ContainerSpec& spec) {
  Plan plan = TRY(make_plan(spec));
  const Cgroups cgroups = TRY(Cgroups::make(spec.limits, spec.best_effort));
  plan.cgroup_procs = cgroups.procs();
  Result<Exit> exit = run_planned(plan);
  if (!plan.work_folder.empty()) (void)os::remove_tree(plan.work_folder).has_value();
  return exit;
}

}  // namespace kist::runtime

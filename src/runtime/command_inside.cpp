// From the first process's privileges to the command's. Runs after a vfork: it shares its memory
// with the first process, which waits, so it changes nothing that is not its own.
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "os/kernel.h"
#include "os/own_program.h"
#include "runtime/capabilities.h"
#include "runtime/inside.h"
#include "runtime/seccomp.h"

namespace kist::runtime {
namespace {

namespace kernel = os::kernel;

void limit_resources(const Plan& plan, const Reporter& report) {
  for (const ResourceLimit& wanted : plan.spec->resource_limits) {
    const auto resource = static_cast<__rlimit_resource_t>(wanted.resource);
    rlimit limit = {};
    report.check(::getrlimit(resource, &limit), "read a resource limit");
    limit.rlim_max = std::min<rlim_t>(wanted.hard, limit.rlim_max);
    limit.rlim_cur = std::min<rlim_t>(wanted.soft, limit.rlim_max);
    report.check(::setrlimit(resource, &limit), "set a resource limit");
  }
}

void drop_bounding_set(const Plan& plan, const Reporter& report) {
  constexpr int kMost = 64;
  for (int i = 0; i < kMost; ++i) {
    if ((plan.capabilities & capability(i)) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, i) == 0) continue;
    if (errno == EINVAL) return;  // Past the last one that this kernel knows.
    report.fail(errno, "drop a capability");
  }
}

void become_user(const Plan& plan, const Reporter& report) {
  if (plan.user_namespace) return;  // Being mapped is being it.
  const ContainerSpec& spec = *plan.spec;
  report.check(::syscall(SYS_setgroups, spec.groups.size(), spec.groups.data()), "set the groups");
  report.check(::syscall(SYS_setresgid, spec.gid, spec.gid, spec.gid), "set the group");
  report.check(::syscall(SYS_setresuid, spec.uid, spec.uid, spec.uid), "set the user");
}

void drop_privileges(const Plan& plan, const Reporter& report) {
  const ContainerSpec& spec = *plan.spec;
  if (!spec.keep_capabilities) drop_bounding_set(plan, report);
  become_user(plan, report);
  // With new privileges allowed, only the capable may install a filter, so that comes first.
  if (!spec.no_new_privs && !spec.no_seccomp)
    report.check(install_seccomp_filter(), "install the seccomp filter");
  if (!spec.keep_capabilities)
    report.check(kernel::set_capabilities(spec.uid == 0 ? plan.capabilities : 0),
                 "drop capabilities");
  if (spec.no_new_privs) report.check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  if (spec.no_new_privs && !spec.no_seccomp)
    report.check(install_seccomp_filter(), "install the seccomp filter");
}

// Moves fds[i] to i. First all out of the way, since a source may be another one's goal.
int lay_fds(const Plan& plan, const Reporter& report) {
  const int count = static_cast<int>(plan.fds.size());
  bool in_place = report.fd() >= count;
  for (int i = 0; i < count; ++i) in_place = in_place && plan.fds[static_cast<size_t>(i)] == i;
  int pipe = report.fd();
  if (!in_place) {
    // Copies go to consecutive numbers from `base` on, above all goals and all sources.
    const int base =
        1 + std::max(pipe, std::max(count, *std::max_element(plan.fds.begin(), plan.fds.end())));
    for (int i = 0; i < count; ++i)
      report.check(::dup3(plan.fds[static_cast<size_t>(i)], base + i, O_CLOEXEC),
                   "copy a descriptor");
    pipe = report.check(::dup3(pipe, base + count, O_CLOEXEC), "copy a descriptor");
    for (int i = 0; i < count; ++i) report.check(::dup2(base + i, i), "place a descriptor");
  }
  report.check(kernel::close_range(static_cast<unsigned>(count), ~0u, 4 /* CLOSE_RANGE_CLOEXEC */),
               "close descriptors");
  return pipe;
}

void restore_signals(const Plan& plan) {
  // What the caller ignores stays ignored, as nohup wants it; SIGPIPE is ignored for ourselves.
  ::signal(SIGPIPE, SIG_DFL);
  if (plan.ignores_child_signal) ::signal(SIGCHLD, SIG_IGN);
  ::sigprocmask(SIG_SETMASK, &plan.signal_mask, nullptr);
}

constexpr uint32_t kCannotExecute = 126;
constexpr uint32_t kNotFound = 127;

[[noreturn]] void execute(const Plan& plan, const Reporter& report) {
  int worst = ENOENT;
  const char* path = plan.candidates[0].c_str();
  for (const std::string& candidate : plan.candidates) {
    if (os::executes(plan.own_program, candidate.c_str()))
      errno = EACCES;
    else
      ::execve(candidate.c_str(), plan.argv.data(), plan.envp.data());
    if (errno == ENOENT || errno == ENOTDIR) {
      // It is there, so what is not is its interpreter or its loader.
      if (::access(candidate.c_str(), F_OK) != 0) continue;
      report.send(Report::Kind::not_executed, 0, kNotFound,
                  "the interpreter or loader that it asks for is missing:", candidate.c_str());
      ::_exit(kNotFound);
    }
    worst = errno;
    path = candidate.c_str();
    if (errno != EACCES) break;
  }
  const uint32_t status = worst == ENOENT ? kNotFound : kCannotExecute;
  if (status == kNotFound)
    report.send(Report::Kind::not_executed, 0, status, "not found in the container:", plan.argv[0]);
  else
    report.send(Report::Kind::not_executed, worst, status, "execute", path);
  ::_exit(static_cast<int>(status));
}

}  // namespace

void become_command(const Plan& plan, const Reporter& report) {
  ::umask(plan.spec->umask);
  const Reporter moved(lay_fds(plan, report));
  limit_resources(plan, moved);
  drop_privileges(plan, moved);
  // As the command's user: what it may not enter it shall not get by us.
  moved.check(::chdir(plan.spec->working_dir.c_str()), "enter the working folder",
              plan.spec->working_dir.c_str());
  restore_signals(plan);
  execute(plan, moved);
}

}  // namespace kist::runtime

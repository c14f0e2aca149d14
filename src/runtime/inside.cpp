#include "runtime/inside.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "os/kernel.h"
#include "runtime/capabilities.h"

namespace kist::runtime {
namespace {

namespace kernel = os::kernel;

// However the caller dies, we die, and the kernel kills everybody in a PID namespace whose first
// process dies.
void die_with_caller(const Reporter& report) {
  report.check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "ask to die with the caller");
  // It may have died before that: then nobody can read from the pipe any more.
  pollfd pipe = {report.fd(), 0, 0};
  if (::poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) != 0) ::_exit(1);
}

void write_proc(const char* path, const std::string& text, const Reporter& report) {
  const int fd = report.check(::open(path, O_WRONLY | O_CLOEXEC), "open", path);
  report.check(::write(fd, text.data(), text.size()), "write", path);
  ::close(fd);
}

// One id outside, one inside: needs no subordinate ids and no helper program, and every file that
// is written belongs to the caller.
void map_ids(const Plan& plan, const Reporter& report) {
  if (!plan.user_namespace) return;
  write_proc("/proc/self/setgroups", "deny", report);
  write_proc("/proc/self/gid_map", plan.gid_map, report);
  write_proc("/proc/self/uid_map", plan.uid_map, report);
}

// The cgroup namespace has as its root the cgroup that we are in when it is made, so joining comes
// before it, and the clone cannot make it.
void join_cgroups(const Plan& plan, const Reporter& report) {
  if (plan.cgroup_procs.empty()) return;
  for (const int procs : plan.cgroup_procs)
    report.check(::write(procs, "0", 1), "join the cgroup of the container");
  if (plan.cgroup_namespace) report.check(::unshare(CLONE_NEWCGROUP), "make a cgroup namespace");
}

void set_hostname(const Plan& plan, const Reporter& report) {
  const std::string& name = plan.spec->hostname;
  if (name.empty()) return;
  report.check(::sethostname(name.data(), name.size()), "set the host name", name.c_str());
}

void bring_loopback_up(const Plan& plan, const Reporter& report) {
  if (plan.spec->network != Network::none) return;
  const int fd = report.check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "open a socket");
  ifreq request = {};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  report.check(::ioctl(fd, SIOCSIFFLAGS, &request), "bring up the loopback interface");
  ::close(fd);
}

// Nothing that we mount may appear outside. A mount namespace of a new user namespace is cut off
// by the kernel: its mounts receive, but do not send.
void cut_mounts_off(const Plan& plan, const Reporter& report) {
  if (plan.user_namespace) return;
  report.check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
               "make the mounts private");
}

void enter_root(const Plan& plan, const Root& root, const Reporter& report) {
  if (plan.spec->working_dir != "/")
    ::close(open_target(root, plan.spec->working_dir.c_str(), true, report));
  if (plan.spec->read_only_root)
    report.check(kernel::set_mount_attributes(root.root, "", MOUNT_ATTR_RDONLY, false),
                 "make the root read-only");
  report.check(::fchdir(root.root), "enter the root");
  report.check(kernel::pivot_root(".", "."), "switch to the root");
  // The old root is now on top of the new one, and "." is in it.
  report.check(::umount2(".", MNT_DETACH), "let go of the host's mounts");
  report.check(::chdir("/"), "enter the root");
}

}  // namespace

void become_container(const Plan& plan, const Reporter& report) {
  die_with_caller(report);
  map_ids(plan, report);
  join_cgroups(plan, report);
  set_hostname(plan, report);
  bring_loopback_up(plan, report);
  ::umask(0);
  cut_mounts_off(plan, report);
  open_mount_sources(plan, report);
  const Root root = mount_root(plan, report);
  mount_system_folders(plan, root, report);
  mount_accounts(plan, root, report);
  mount_user_folders(plan, root, report);
  enter_root(plan, root, report);
  // The memory of this process is a copy of the caller's, and /proc/1/exe is the caller's program,
  // which a container of root could otherwise open and overwrite.
  report.check(::prctl(PR_SET_DUMPABLE, 0), "hide the first process");
  // vfork: the command takes over at exec what would be copied only to be thrown away.
  const pid_t command = ::vfork();
  if (command == 0) become_command(plan, report);
  report.check(command, "fork");
  be_init(command, report);
}

}  // namespace kist::runtime

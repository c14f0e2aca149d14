// From the privileges of who makes containers to those that the configuration gives.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/text.h"
#include "bundle/hooks.h"
#include "bundle/inside.h"
#include "bundle/mount_calls.h"
#include "bundle/pretend_ownership.h"
#include "bundle/sync.h"
#include "os/files.h"
#include "os/kernel.h"

namespace kist::bundle {
namespace {

constexpr uint64_t bit(int number) { return uint64_t{1} << number; }
constexpr int kMostCapabilities = 64;

// What sched_setattr(2) takes; the C library of Debian 12 has no name for it.
struct SchedulerAttributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns;
  uint64_t deadline_ns;
  uint64_t period_ns;
};

Result<void> set_scheduling(const Process& process) {
  if (process.scheduler) {
    const Scheduler& wanted = *process.scheduler;
    SchedulerAttributes attributes = {
        sizeof attributes, wanted.policy,     wanted.flags,       wanted.nice,
        wanted.priority,   wanted.runtime_ns, wanted.deadline_ns, wanted.period_ns};
    if (::syscall(SYS_sched_setattr, 0, &attributes, 0) != 0)
      return Error::from_errno(errno, "process.scheduler: set it");
  }
  if (process.io_priority) {
    constexpr int kProcess = 1;
    constexpr int kClassShift = 13;
    const int value = static_cast<int>(process.io_priority->io_class << kClassShift |
                                       process.io_priority->level);
    if (::syscall(SYS_ioprio_set, kProcess, 0, value) != 0)
      return Error::from_errno(errno, "process.ioPriority: set it");
  }
  return {};
}

Result<void> write_attribute(const os::Fd& proc, const std::string& path, const std::string& value) {
  const os::Fd fd = TRY(os::open_at(proc, path, O_WRONLY));
  return os::write_all(fd, value);
}

// The folder is there where the kernel could, and can be read where it does. The container need not
// have /sys, where that is said too.
Result<void> set_apparmor(const os::Fd& proc, const std::string& profile) {
  const auto file = os::open_at(proc, "self/attr/apparmor/current", O_RDONLY);
  char label[4096];
  if (!file || ::read(file->get(), label, sizeof label) <= 0)
    return Error(Code::unsupported, "process.apparmorProfile: this kernel has no AppArmor, or it is off")
        .hint("`cat /sys/module/apparmor/parameters/enabled`");
  const Result<void> set = write_attribute(proc, "self/attr/apparmor/exec", "exec " + profile);
  if (set) return {};
  if (set.error().code() == Code::not_found)
    return Error(Code::not_found, "process.apparmorProfile: no profile '{}' is loaded",
                 printable(profile))
        .hint("`aa-status` lists those that are, `apparmor_parser -r FILE` loads one");
  return Error(set.error()).context("process.apparmorProfile: set it");
}

// Labels for the program that is executed next. A kernel without the module cannot have them: as with
// runc, an AppArmor profile is then an error, unless it says to be without one.
Result<void> set_labels(const ProcessPlan& plan, const os::Fd& proc) {
  const Process& process = *plan.process;
  if (!process.apparmor_profile.empty() && process.apparmor_profile != "unconfined")
    TRY(set_apparmor(proc, process.apparmor_profile));
  if (!process.selinux_label.empty()) {
    if (!os::exists("/sys/fs/selinux/enforce"))
      return Error(Code::unsupported, "process.selinuxLabel: SELinux is not enabled");
    TRY(write_attribute(proc, "self/attr/exec", process.selinux_label),
        "process.selinuxLabel: set it");
  }
  return {};
}

int set_capability_sets(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int i = 0; i < 2; ++i) {
    const int shift = 32 * i;
    data[i].effective = static_cast<uint32_t>(effective >> shift);
    data[i].permitted = static_cast<uint32_t>(permitted >> shift);
    data[i].inheritable = static_cast<uint32_t>(inheritable >> shift);
  }
  return static_cast<int>(::syscall(SYS_capset, &header, data));
}

// What nobody here has cannot be given: a set is cut to it, or Docker's --privileged would fail
// wherever the machine itself is not given everything.
uint64_t bounding_set() {
  uint64_t out = 0;
  for (int i = 0; i < kMostCapabilities; ++i) {
    const int has = ::prctl(PR_CAPBSET_READ, i);
    if (has < 0) break;
    if (has == 1) out |= bit(i);
  }
  return out;
}

Result<void> drop_bounding_set(uint64_t keep) {
  for (int i = 0; i < kMostCapabilities; ++i) {
    if ((keep & bit(i)) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, i) == 0) continue;
    if (errno == EINVAL) break;  // Past the last one that this kernel knows.
    // Who may not drop has none to lose but those of a user namespace above.
    if (errno == EPERM) break;
    return Error::from_errno(errno, "drop a capability");
  }
  return {};
}

Result<void> set_ids(const ProcessPlan& plan, bool fixed_groups) {
  const User& user = plan.process->user;
  if (fixed_groups && !user.additional_gids.empty())
    return Error(Code::denied,
                 "process.user.additionalGids: a plain user cannot give groups to a container")
        .hint("subordinate ids (`man 5 subgid`) make it possible");
  if (!fixed_groups &&
      ::syscall(SYS_setgroups, user.additional_gids.size(), user.additional_gids.data()) != 0)
    return Error::from_errno(errno, "process.user.additionalGids: set them");
  if (::syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0)
    return Error::from_errno(errno, "process.user.gid: become group {}", user.gid)
        .hint("linux.gidMappings must have it");
  if (::syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0)
    return Error::from_errno(errno, "process.user.uid: become user {}", user.uid)
        .hint("linux.uidMappings must have it");
  return {};
}

Result<void> drop_to(const ProcessPlan& plan, const Capabilities& wanted, bool fixed_groups) {
  const uint64_t possible = bounding_set();
  const uint64_t permitted_now = os::kernel::capabilities();
  TRY(drop_bounding_set(wanted.bounding & possible));
  if (::prctl(PR_SET_KEEPCAPS, 1) != 0) return Error::from_errno(errno, "keep capabilities");
  TRY(set_ids(plan, fixed_groups));
  ::prctl(PR_SET_KEEPCAPS, 0);
  const uint64_t permitted = wanted.permitted & permitted_now;
  const uint64_t inheritable = wanted.inheritable & possible & (permitted_now | permitted);
  if (set_capability_sets(wanted.effective & permitted, permitted, inheritable) != 0)
    return Error::from_errno(errno, "process.capabilities: set them");
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL)
    return Error::from_errno(errno, "process.capabilities.ambient: clear them");
  // The kernel has only those that are inheritable too; runc leaves the others out as well.
  const uint64_t ambient = wanted.ambient & permitted & inheritable;
  for (int i = 0; i < kMostCapabilities; ++i)
    if ((ambient & bit(i)) != 0 && ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0)
      return Error::from_errno(errno, "process.capabilities.ambient: raise capability {}", i);
  return {};
}

// The program must begin in a folder of the container: a descriptor of the host that leaked would
// otherwise be a way out ("/proc/self/fd/7" as the working folder).
Result<void> check_working_folder(const std::string& path) {
  char text[PATH_MAX + 1] = {};
  const long got = ::syscall(SYS_getcwd, text, sizeof text);
  if (got <= 0 || text[0] != '/')
    return Error(Code::denied, "process.cwd: '{}' is not inside the container", printable(path));
  return {};
}

// The agent gets the descriptor with a text that says whose it is.
std::string listener_text(const ProcessPlan& plan) {
  namespace json = boost::json;
  json::object out = {{"ociVersion", plan.state.oci_version},
                      {"fds", json::array{"seccompFd"}},
                      {"pid", plan.state.pid},
                      {"state", json::parse(state_text(plan.state))}};
  if (!plan.seccomp_metadata.empty()) out["metadata"] = plan.seccomp_metadata;
  return json::serialize(out);
}

Result<void> install_filter(const ProcessPlan& plan) {
  // First: a filter of the configuration may not allow another one.
  if (plan.pretend_ownership) TRY(install_seccomp(ownership_filter()));
  if (plan.filter == nullptr) return {};
  // Worked out before: afterwards every call may be one that waits for the agent.
  const std::string text = plan.filter->notifies ? listener_text(plan) : std::string();
  const os::Fd listener = TRY(install_seccomp(*plan.filter));
  if (!listener.is_open()) return {};
  return send_fd(plan.agent, text, listener);
}

Result<bool> try_enter(const std::string& path) {
  if (::chdir(path.c_str()) == 0) return true;
  if (errno == EACCES || errno == EPERM) return false;
  return Error::from_errno(errno, "process.cwd: enter '{}'", printable(path));
}

// Once as who makes the container, and where that may not, as who the program runs as.
Result<void> enter_working_folder(const Process& process, bool& entered) {
  if (entered) return {};
  entered = TRY(try_enter(process.cwd));
  if (entered) TRY(check_working_folder(process.cwd));
  return {};
}

// In a user namespace that was made without privileges nobody may change groups.
bool groups_are_fixed(const os::Fd& proc) {
  const auto file = os::open_at(proc, "self/setgroups", O_RDONLY);
  if (!file) return false;
  constexpr uint64_t kMost = 64;
  const auto text = os::read_all(*file, kMost);
  return text && text->starts_with("deny");
}

Result<std::string> search_program(const Process& process) {
  const std::string& name = process.args[0];
  const auto problem = [](const std::string& path) -> int {
    struct stat st = {};
    if (::stat(path.c_str(), &st) != 0) return errno;
    if (S_ISDIR(st.st_mode)) return EISDIR;
    // For root, the kernel wants one of the three bits; access() asks the same.
    return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
  };
  if (name.find('/') != std::string::npos) {
    const int error = problem(name);
    if (error == 0) return name;
    if (error == EISDIR)
      return Error(Code::denied, "exec: '{}': is a directory: permission denied", printable(name));
    return Error::from_errno(error, "exec: '{}'", printable(name));
  }
  std::string_view folders = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const std::string& variable : process.env)
    if (variable.starts_with("PATH=")) folders = std::string_view(variable).substr(5);
  int worst = ENOENT;
  for (const std::string_view folder : split(folders, ':')) {
    const std::string path = folder.empty() ? "./" + name : os::join(folder, name);
    const int error = problem(path);
    if (error == 0) return path;
    if (error == EACCES) worst = error;
  }
  if (worst == EACCES)
    return Error(Code::denied, "exec: '{}': found in $PATH, but permission denied", printable(name));
  return Error(Code::not_found, "exec: '{}': executable file not found in $PATH", printable(name));
}

}  // namespace

void close_all_but(unsigned preserved, std::vector<int> kept) {
  unsigned next = 3 + preserved;
  std::sort(kept.begin(), kept.end());
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (fd < 0 || number < next) continue;
    if (number > next) os::kernel::close_range(next, number - 1, 0);
    next = number + 1;
  }
  os::kernel::close_range(next, ~0u, 0);
}

Result<void> become_user(const ProcessPlan& plan, const os::Fd& proc, std::vector<int> kept) {
  const Process& process = *plan.process;
  TRY(set_labels(plan, proc));
  TRY(set_scheduling(process));
  if (plan.personality && ::personality(*plan.personality) < 0)
    return Error::from_errno(errno, "linux.personality: set it");
  const bool fixed_groups = groups_are_fixed(proc);
  // The copy of the caller's memory, and its program, are nobody's business inside.
  ::prctl(PR_SET_DUMPABLE, 0);
  // From here on nothing that is open leads out of the container, so no path can either.
  kept.push_back(plan.agent.get());
  close_all_but(plan.preserve_fds, std::move(kept));
  if (process.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return Error::from_errno(errno, "process.noNewPrivileges: set it");
  bool entered = false;
  TRY(enter_working_folder(process, entered));
  // With new privileges allowed only the capable may install a filter, so that comes before they go.
  if (!process.no_new_privileges) TRY(install_filter(plan));
  const Capabilities none;
  TRY(drop_to(plan, process.capabilities ? *process.capabilities : none, fixed_groups));
  TRY(enter_working_folder(process, entered));
  if (!entered)
    return Error::from_errno(EACCES, "process.cwd: enter '{}'", printable(process.cwd));
  constexpr mode_t kUsual = 022;
  ::umask(process.user.umask.value_or(kUsual));
  return {};
}

Result<std::string> find_program(const ProcessPlan& plan) {
  std::string program = TRY(search_program(*plan.process));
  if (os::executes(plan.own_program, program.c_str()))
    return Error(Code::denied, "exec: '{}': is the container runtime itself: permission denied", printable(program));
  return program;
}

Result<void> install_filter_early(ProcessPlan& plan) {
  if (plan.process->no_new_privileges) TRY(install_filter(plan));
  plan.filter = nullptr;
  plan.pretend_ownership = false;
  return {};
}

bool is_of_execve(const Error& error) {
  return error.frames().front().starts_with("exec: ") || error.frames().front().starts_with("exec ");
}

Error execute(const ProcessPlan& plan, const std::string& program) {
  const Process& process = *plan.process;
  std::vector<char*> argv;
  for (const std::string& text : process.args) argv.push_back(const_cast<char*>(text.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& text : process.env) envp.push_back(const_cast<char*>(text.c_str()));
  envp.push_back(nullptr);
  // Signals as a program expects them, whatever the caller ignores or holds back.
  for (int number = 1; number < NSIG; ++number)
    if (number != SIGKILL && number != SIGSTOP) ::signal(number, SIG_DFL);
  sigset_t nothing;
  ::sigemptyset(&nothing);
  ::sigprocmask(SIG_SETMASK, &nothing, nullptr);
  if (process.no_new_privileges)
    if (const Result<void> filtered = install_filter(plan); !filtered)
      return filtered.error();
  ::execve(program.c_str(), argv.data(), envp.data());
  const int error = errno;
  if (error == ENOENT)
    return Error(Code::not_found,
                 "exec {}: no such file or directory: the interpreter or loader that it asks for is missing",
                 printable(program));
  if (error == ENOEXEC) return Error(Code::denied, "exec {}: exec format error", printable(program));
  return Error::from_errno(error, "exec {}", printable(program));
}

}  // namespace kist::bundle

#include "bundle/inside.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/text.h"
#include "bundle/hooks.h"
#include "bundle/making.h"
#include "bundle/mount_calls.h"
#include "bundle/spawn.h"
#include "bundle/start_socket.h"
#include "bundle/sync.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

// While a container is being made it ends with who makes it; afterwards it does not.
Result<void> die_with_caller(bool die) {
  if (::prctl(PR_SET_PDEATHSIG, die ? SIGKILL : 0) != 0)
    return Error::from_errno(errno, "ask to die with the caller");
  return {};
}

Result<void> enter_cgroups(const ProcessPlan& plan) {
  TRY(enter_v1(plan.cgroup_entrances));
  return plan.is_born_in_v2 ? Result<void>() : enter_v2(plan.cgroup_entrances);
}

// To be root inside as far as the maps know one: files must have an owner that exists.
void become_root_inside() {
  (void)!::setresgid(0, 0, 0);
  (void)!::setresuid(0, 0, 0);
}

Result<void> name_host(const Spec& spec) {
  if (!spec.hostname.empty() && ::sethostname(spec.hostname.data(), spec.hostname.size()) != 0)
    return Error::from_errno(errno, "hostname: set '{}'", printable(spec.hostname));
  if (!spec.domainname.empty() && ::setdomainname(spec.domainname.data(), spec.domainname.size()) != 0)
    return Error::from_errno(errno, "domainname: set '{}'", printable(spec.domainname));
  return {};
}

Result<void> bring_loopback_up() {
  const os::Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return Error::from_errno(errno, "open a socket");
  ifreq request = {};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0)
    return Error::from_errno(errno, "bring up the loopback interface");
  return {};
}

Result<void> join_keyring(const std::string& name) {
  if (name.empty()) return {};
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.c_str()) < 0 && errno != ENOSYS &&
      errno != EPERM && errno != EDQUOT)
    return Error::from_errno(errno, "make a session keyring");
  return {};
}

// The host's own /proc, looked at: what is written to a false one would go nowhere, or elsewhere.
Result<os::Fd> open_proc() {
  os::Fd proc = TRY(os::open_file("/proc", O_PATH | O_DIRECTORY));
  if (!is_on(proc, PROC_SUPER_MAGIC)) return Error(Code::denied, "the host's /proc is not a procfs");
  return proc;
}

Result<void> set_sysctls(const Spec& spec, const os::Fd& proc) {
  for (const auto& [name, value] : spec.sysctl) {
    std::string path = "sys/" + name;
    // "net.ipv4.conf.eth0/1.x": a slash in it stands for a dot of a name.
    const bool dots = name.find('/') == std::string::npos || name.find('.') < name.find('/');
    if (dots)
      for (size_t i = 4; i < path.size(); ++i)
        path[i] = path[i] == '.' ? '/' : path[i] == '/' ? '.' : path[i];
    const os::Fd file = TRY(os::open_at(proc, path, O_WRONLY), "linux.sysctl.{}", printable(name));
    if (!is_on(file, PROC_SUPER_MAGIC))
      return Error(Code::denied, "linux.sysctl.{}: is not a kernel setting", printable(name));
    TRY(os::write_all(file, value), "linux.sysctl.{}: set '{}'", printable(name), printable(value));
  }
  return {};
}

// HOME is what programs expect; runc takes it from the image too.
void add_home(Process& process) {
  for (const std::string& variable : process.env)
    if (variable.starts_with("HOME=") && variable.size() > 5) return;
  std::string home = "/";
  constexpr uint64_t kMost = 1 << 20;
  struct stat st = {};
  if (::stat("/etc/passwd", &st) == 0 && S_ISREG(st.st_mode)) {
    const auto text = os::read_file("/etc/passwd", kMost);
    for (const std::string_view line : text ? lines(*text) : std::vector<std::string_view>()) {
      const auto fields = split(line, ':');
      if (fields.size() < 7 || parse_number(fields[2]) != process.user.uid) continue;
      if (!fields[5].empty()) home = std::string(fields[5]);
      break;
    }
  }
  std::erase(process.env, std::string("HOME="));
  process.env.push_back("HOME=" + home);
}

Result<void> place_streams(const StandardStreams& streams) {
  const os::Fd* wanted[] = {streams.input, streams.output, streams.error};
  for (int i = 0; i < 3; ++i)
    if (wanted[i] != nullptr && wanted[i]->get() != i && ::dup2(wanted[i]->get(), i) < 0)
      return Error::from_errno(errno, "place a descriptor");
  if (termios now = {}; streams.plain_newlines && ::tcgetattr(0, &now) == 0) {
    now.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
    ::tcsetattr(0, TCSANOW, &now);
  }
  return {};
}

// The outside says it once, soon after the clone; whoever needs it first waits for it.
Result<void> hear_own_pid(ProcessPlan& plan, const os::Fd& socket) {
  if (plan.state.pid == 0) plan.state.pid = TRY(expect(socket, Step::mapped)).number;
  return {};
}

Result<void> run_runtime_hooks(InitPlan& plan, const os::Fd& root, const os::Fd& socket) {
  const Hooks& hooks = plan.spec->hooks;
  if (hooks.prestart.empty() && hooks.create_runtime.empty() && hooks.create_container.empty())
    return {};
  TRY(hear_own_pid(plan.process, socket));
  TRY(send(socket, Step::hooks));
  TRY(expect(socket, Step::hooks));
  // runc: the root is where they begin, before it is the root.
  if (::fchdir(root.get()) != 0) return Error::from_errno(errno, "enter the root file system");
  return run_hooks(hooks.create_container, "createContainer", plan.process.state);
}

// All that is mounted, up to the point where the root is ours.
Result<void> make_file_system(InitPlan& plan, const os::Fd& socket) {
  const Spec& spec = *plan.spec;
  const Process& process = *plan.process.process;
  const bool own_mounts = spec.find_namespace(CLONE_NEWNS) != nullptr;
  const mode_t umask = ::umask(0);
  os::Fd root = TRY(open_root(plan));
  if (own_mounts) {
    TRY(mount_all(plan, root));
    TRY(make_devices(plan, root));
    if (process.cwd != "/")
      TRY(make_inside(root, process.cwd, true), "process.cwd: '{}'", printable(process.cwd));
  }
  TRY(run_runtime_hooks(plan, root, socket));
  if (process.terminal) {
    // Where nothing is mounted, the host's terminals are those of the container.
    const os::Fd host = TRY(os::open_file("/", O_PATH | O_DIRECTORY));
    TRY(take_terminal(process, own_mounts ? root : host, socket, own_mounts), "process.terminal");
  } else {
    (void)::setsid();
  }
  if (own_mounts) {
    TRY(hide_paths(plan, root));
    TRY(protect_mounts(plan, root));
  }
  TRY(enter_root(plan, root));
  ::umask(umask);
  return {};
}

// Tells that all is ready, and waits until the command may begin; then whom to tell what goes wrong.
Result<os::Fd> wait_to_begin(os::Fd& socket, const os::Fd* listener) {
  // A change of user has taken it back.
  TRY(die_with_caller(true));
  TRY(send(socket, Step::ready));
  if (listener == nullptr) {
    TRY(expect(socket, Step::begin));
    TRY(die_with_caller(false));
    return std::move(socket);
  }
  TRY(expect(socket, Step::committed));
  TRY(die_with_caller(false));
  TRY(send(socket, Step::waiting));
  socket = os::Fd();
  // The first process of a PID namespace has no default actions, but one that has not begun should end.
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) std::signal(number, [](int which) { ::_exit(128 + which); });
  return wait_for_start(*listener);
}

// With the privileges of the host, while they are still there. In a user namespace they are not:
// then the outside does it.
Result<void> limit_self(const Process& process, const os::Fd& socket) {
  std::vector<std::string> lowered;
  TRY(set_resource_limits(0, process, lowered));
  for (const std::string& text : lowered) TRY(send(socket, Step::warning, 0, text));
  return {};
}

Result<void> init(InitPlan& plan, os::Fd& socket, const os::Fd* listener) {
  const Spec& spec = *plan.spec;
  TRY(die_with_caller(true));
  TRY(enter_cgroups(plan.process));
  if ((plan.fresh & CLONE_NEWCGROUP) != 0 && ::unshare(CLONE_NEWCGROUP) != 0)
    return Error::from_errno(errno, "make a cgroup namespace");
  if (plan.user_namespace) {
    TRY(hear_own_pid(plan.process, socket));
    become_root_inside();
  }
  TRY(name_host(spec));
  if ((plan.fresh & CLONE_NEWNET) != 0) TRY(bring_loopback_up());
  const os::Fd proc = TRY(open_proc());
  os::Fd own_program;
  if (plan.options->reaper) own_program = TRY(os::open_at(proc, "self/exe", O_RDONLY));
  TRY(join_keyring(plan.keyring));
  TRY(make_file_system(plan, socket));
  Process process = *plan.process.process;  // Whoever mounted the root may have filled in the user.
  TRY(set_sysctls(spec, proc));
  TRY(place_streams(plan.process.streams));
  plan.process.process = &process;
  add_home(process);
  if (!plan.user_namespace) TRY(limit_self(process, socket));
  TRY(become_user(plan.process, proc,
                  {socket.get(), listener == nullptr ? -1 : listener->get(), own_program.get()}));
  const std::string program = TRY(find_program(plan.process));
  TRY(hear_own_pid(plan.process, socket));
  socket = TRY(wait_to_begin(socket, listener));
  plan.process.state.status = Status::created;
  if (!spec.hooks.start_container.empty()) TRY(install_filter_early(plan.process));
  TRY(run_hooks(spec.hooks.start_container, "startContainer", plan.process.state));
  if (plan.options->reaper) TRY(put_reaper_in_front(own_program));
  return execute(plan.process, program);
}

Result<void> enter(ProcessPlan& plan, os::Fd& socket, bool user_namespace, const os::Fd& proc) {
  TRY(die_with_caller(true));
  TRY(hear_own_pid(plan, socket));
  if (user_namespace) become_root_inside();
  Process process = *plan.process;
  plan.process = &process;
  const os::Fd root = TRY(os::open_file("/", O_PATH | O_DIRECTORY));
  if (process.terminal)
    TRY(take_terminal(process, root, socket, false), "process.terminal");
  else
    (void)::setsid();
  TRY(place_streams(plan.streams));
  add_home(process);
  TRY(become_user(plan, proc, {socket.get()}));
  const std::string program = TRY(find_program(plan));
  socket = TRY(wait_to_begin(socket, nullptr));
  return execute(plan, program);
}

[[noreturn]] void fail(const Error& error, const os::Fd& socket) {
  constexpr int kSetupFailed = 125;
  if (socket.is_open()) (void)send(socket, Step::failed, 0, packed(error)).has_value();
  ::_exit(kSetupFailed);
}

}  // namespace

void become_init(InitPlan& plan, os::Fd socket, const os::Fd* listener) {
  const Result<void> done = init(plan, socket, listener);
  fail(done ? Error(Code::internal, "the command did not begin") : done.error(), socket);
}

void become_entered(ProcessPlan& plan, os::Fd socket, bool user_namespace, const os::Fd& proc) {
  const Result<void> done = enter(plan, socket, user_namespace, proc);
  fail(done ? Error(Code::internal, "the command did not begin") : done.error(), socket);
}

}  // namespace kist::bundle

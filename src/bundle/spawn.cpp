#include "bundle/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/text.h"
#include "bundle/sync.h"
#include "os/child.h"
#include "os/files.h"
#include "os/kernel.h"

namespace kist::bundle {
namespace {

Error no_namespaces(int error, uint64_t flags) {
  Error cause = Error::from_errno(error, "make the namespaces of the container");
  if ((flags & CLONE_NEWUSER) == 0) {
    if (error == EPERM && ::geteuid() != 0)
      return std::move(cause).hint("without root, linux.namespaces needs one of type \"user\"");
    return cause;
  }
  if (error == ENOSPC) return std::move(cause).hint("`sudo sysctl user.max_user_namespaces=65536`");
  if (error == EPERM) return std::move(cause).hint("`sudo sysctl kernel.unprivileged_userns_clone=1`");
  return cause;
}

Result<pid_t> clone_process(uint64_t flags, int exit_signal) {
  clone_args args = {};
  args.flags = flags;
  args.exit_signal = static_cast<uint64_t>(exit_signal);
  const pid_t pid = os::kernel::clone3(args);
  if (pid < 0) return no_namespaces(errno, flags);
  return pid;
}

// What clone_process() does, in the cgroup that is wanted.
Result<pid_t> clone_into_cgroup(const Spawn& wanted, uint64_t flags, int exit_signal) {
  if (wanted.cgroups == nullptr || !wanted.cgroups->v2_folder.is_open()) return clone_process(flags, exit_signal);
  clone_args args = {};
  args.flags = flags | CLONE_INTO_CGROUP;
  args.exit_signal = static_cast<uint64_t>(exit_signal);
  args.cgroup = static_cast<uint64_t>(wanted.cgroups->v2_folder.get());
  *wanted.is_born_in_v2 = true;  // As the process sees it, which is a copy.
  if (const pid_t pid = os::kernel::clone3(args); pid >= 0) return pid;
  *wanted.is_born_in_v2 = false;
  if (wanted.enters_cgroups) TRY(enter_v2(*wanted.cgroups));
  return clone_process(flags, exit_signal);
}

// Of a namespace that belongs to the host only the host's root may join it, of one that belongs to a
// user namespace only root of that; so some are joined before the user namespace and some after.
Result<void> join_all(const std::vector<Join>& joins) {
  std::vector<const Join*> later;
  for (const Join& join : joins)
    if ((join.flags & CLONE_NEWUSER) != 0 && join.flags == CLONE_NEWUSER) {
      later.push_back(&join);
    } else if (::setns(join.fd.get(), static_cast<int>(join.flags)) != 0) {
      if (errno != EPERM) return Error::from_errno(errno, "join a namespace");
      later.push_back(&join);
    }
  for (const bool user : {true, false})
    for (const Join* join : later)
      if ((join->flags == CLONE_NEWUSER) == user &&
          ::setns(join->fd.get(), static_cast<int>(join->flags)) != 0)
        return Error::from_errno(errno, "join a namespace");
  return {};
}

Result<void> make_time_namespace(const Spawn& wanted) {
  if ((wanted.fresh & CLONE_NEWTIME) == 0) return {};
  if (::unshare(CLONE_NEWTIME) != 0) return Error::from_errno(errno, "make a time namespace");
  for (const TimeOffset& offset : wanted.time_offsets) {
    const os::Fd file = TRY(os::open_file("/proc/self/timens_offsets", O_WRONLY));
    TRY(os::write_all(file, fmt::format("{} {} {}\n", offset.clock, offset.seconds,
                                        offset.nanoseconds)),
        "linux.timeOffsets.{}", offset.clock);
  }
  return {};
}

Result<pid_t> run_stage(const Spawn& wanted) {
  if (wanted.enters_cgroups) TRY(enter_v1(*wanted.cgroups));
  TRY(make_time_namespace(wanted));
  TRY(join_all(wanted.joins));
  constexpr uint64_t kMadeElsewhere = CLONE_NEWTIME | CLONE_NEWCGROUP;
  // The new process is a child of our caller, not of this one, which ends now.
  return clone_into_cgroup(wanted, (wanted.fresh & ~kMadeElsewhere) | CLONE_PARENT, 0);
}

struct SharedStage {
  const Spawn& wanted;
  const std::function<void()>& body;
  std::optional<Result<pid_t>> pid;
};

int run_shared_stage(void* of) {
  auto& stage = *static_cast<SharedStage*>(of);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Result<pid_t> pid = run_stage(stage.wanted);
  if (pid && *pid == 0) {  // A copy of the memory from here on.
    stage.body();
    ::_exit(1);
  }
  stage.pid = std::move(pid);
  return 0;
}

// Joining a user namespace changes what a process may do, and with that whether its memory may be
// looked at; one of time is joined by nobody who shares memory.
bool may_share_memory(const Spawn& wanted) {
  uint64_t joined = wanted.fresh;
  for (const Join& join : wanted.joins) joined |= join.flags;
  return (joined & (CLONE_NEWUSER | CLONE_NEWTIME)) == 0;
}

// As vfork does it: the stage copies no page tables, and no processor is woken to go on. It has a
// stack of its own, as large as any, on which the new process goes on.
Result<pid_t> spawn_by_shared_stage(const Spawn& wanted, const std::function<void()>& body) {
  constexpr size_t kStackBytes = 8 << 20;
  void* stack = ::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return Error::from_errno(errno, "make a stack");
  SharedStage stage{wanted, body, std::nullopt};
  const pid_t pid = ::clone(run_shared_stage, static_cast<char*>(stack) + kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, &stage);
  const int error = errno;
  if (pid > 0) ::waitpid(pid, nullptr, 0);
  ::munmap(stack, kStackBytes);
  if (pid < 0) return Error::from_errno(error, "make a process");
  if (!stage.pid) return Error(Code::unavailable, "the process died while it entered the container");
  return std::move(*stage.pid);
}

Result<pid_t> spawn_by_stage(const Spawn& wanted, const std::function<void()>& body) {
  if (may_share_memory(wanted)) return spawn_by_shared_stage(wanted, body);
  SocketPair pair = TRY(make_socket_pair());
  const pid_t stage = TRY(clone_process(0, SIGCHLD));
  if (stage == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const Result<pid_t> pid = run_stage(wanted);
    if (pid && *pid == 0) {
      pair = {};
      body();
      ::_exit(1);
    }
    (void)(pid ? send(pair.inside, Step::mapped, *pid)
               : send(pair.inside, Step::failed, 0, packed(pid.error())))
        .has_value();
    ::_exit(0);
  }
  pair.inside = os::Fd();
  const Result<Message> answer = expect(pair.outside, Step::mapped);
  ::waitpid(stage, nullptr, 0);
  if (!answer) return answer.error();
  return answer->number;
}

std::string map_text(const std::vector<IdMap>& maps) {
  std::string out;
  for (const IdMap& map : maps) out += fmt::format("{} {} {}\n", map.inside, map.outside, map.size);
  return out;
}

Result<void> write_proc(pid_t pid, const char* name, const std::string& text) {
  const os::Fd file = TRY(os::open_file(fmt::format("/proc/{}/{}", pid, name), O_WRONLY));
  return os::write_all(file, text);
}

Result<void> map_by_program(const char* program, pid_t pid, const std::vector<IdMap>& maps) {
  os::Command command;
  command.args = {program, fmt::format("{}", pid)};
  for (const IdMap& map : maps)
    for (const uint32_t number : {map.inside, map.outside, map.size})
      command.args.push_back(fmt::format("{}", number));
  command.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  const os::Output done = TRY(os::run(command), "mapping ids needs '{}'", program);
  if (done.status == 0) return {};
  return Error(Code::denied, "{}: {}", program, printable(trim(done.err)))
      .hint("ranges of ids for this user in /etc/subuid and /etc/subgid (`man 5 subuid`)");
}

bool is_own_id(const std::vector<IdMap>& maps, uint32_t own) {
  return maps.size() == 1 && maps[0].size == 1 && maps[0].outside == own;
}

Result<void> enter(const os::Fd& entrance) {
  if (::write(entrance.get(), "0", 1) < 0) return Error::from_errno(errno, "enter the cgroup of the container");
  return {};
}

}  // namespace

Result<void> enter_v1(const CgroupEntrances& cgroups) {
  for (const os::Fd& entrance : cgroups.v1) TRY(enter(entrance));
  return {};
}

Result<void> enter_v2(const CgroupEntrances& cgroups) {
  return cgroups.v2.is_open() ? enter(cgroups.v2) : Result<void>();
}

Result<pid_t> spawn(const Spawn& wanted, const std::function<void()>& body) {
  if (!wanted.joins.empty() || (wanted.fresh & CLONE_NEWTIME) != 0)
    return spawn_by_stage(wanted, body);
  const pid_t pid = TRY(clone_into_cgroup(wanted, wanted.fresh & ~uint64_t{CLONE_NEWCGROUP}, SIGCHLD));
  if (pid != 0) return pid;
  body();
  ::_exit(1);
}

Result<void> write_id_maps(pid_t pid, const std::vector<IdMap>& uids,
                           const std::vector<IdMap>& gids) {
  // Who may set any id may also map any; others only their own, and then groups become fixed.
  const uint64_t capabilities = os::kernel::capabilities();
  const auto has = [&](int number) { return (capabilities & (uint64_t{1} << number)) != 0; };
  if (has(CAP_SETUID) && has(CAP_SETGID)) {
    TRY(write_proc(pid, "gid_map", map_text(gids)), "linux.gidMappings");
    TRY(write_proc(pid, "uid_map", map_text(uids)), "linux.uidMappings");
    return {};
  }
  if (is_own_id(gids, ::getegid())) {
    TRY(write_proc(pid, "setgroups", "deny"));
    TRY(write_proc(pid, "gid_map", map_text(gids)), "linux.gidMappings");
  } else {
    TRY(map_by_program("newgidmap", pid, gids), "linux.gidMappings");
  }
  if (is_own_id(uids, ::geteuid())) {
    TRY(write_proc(pid, "uid_map", map_text(uids)), "linux.uidMappings");
  } else {
    TRY(map_by_program("newuidmap", pid, uids), "linux.uidMappings");
  }
  return {};
}

Result<bool> run_mapped(const std::vector<IdMap>& uids, const std::vector<IdMap>& gids,
                        const std::function<bool()>& body) {
  SocketPair pair = TRY(make_socket_pair());
  const pid_t pid = TRY(clone_process(CLONE_NEWUSER, SIGCHLD));
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    pair.outside = os::Fd();
    const bool mapped = expect(pair.inside, Step::mapped).has_value();
    const bool root = mapped && ::setresgid(0, 0, 0) == 0 && ::setresuid(0, 0, 0) == 0;
    ::_exit(root && body() ? 0 : 1);
  }
  pair.inside = os::Fd();
  const Result<void> written = write_id_maps(pid, uids, gids);
  if (written) (void)send(pair.outside, Step::mapped).has_value();
  pair.outside = os::Fd();
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  if (!written) return written.error();
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Result<os::Fd> make_user_namespace(const std::vector<IdMap>& uids, const std::vector<IdMap>& gids) {
  const pid_t pid = TRY(clone_process(CLONE_NEWUSER, SIGCHLD));
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) ::pause();
  }
  Result<void> mapped = write_id_maps(pid, uids, gids);
  auto fd = os::open_file(fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  if (!mapped) return std::move(mapped).error();
  return fd;
}

}  // namespace kist::bundle

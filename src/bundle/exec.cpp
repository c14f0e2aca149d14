// One more process in a container that runs.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "bundle/making.h"
#include "bundle/spawn.h"
#include "bundle/state_folder.h"
#include "bundle/sync.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

// All that the container has of its own, or shares with somebody else.
uint64_t namespaces_of(const Spec& spec) {
  uint64_t flags = 0;
  for (const Namespace& ns : spec.namespaces) flags |= ns.flag;
  return flags;
}

Result<Message> until_ready(const os::Fd& socket, const ExecOptions& options, Created& created) {
  while (true) {
    std::optional<Message> message = TRY(receive(socket));
    if (!message)
      return Error(Code::unavailable, "the process died while it entered the container");
    if (message->step == Step::failed) return unpacked(message->text);
    if (message->step == Step::ready) return std::move(*message);
    if (message->step == Step::terminal)
      TRY(deliver_terminal(std::move(message->fd), options.console_socket, created));
  }
}

Result<void> go_on(const Runtime& runtime, const os::Fd& socket, const Process& process,
                   const ExecOptions& options, Created& created) {
  TRY(set_limits(runtime, created.pid, process));
  set_kill_score(runtime, created.pid, process);
  // Somebody is told of the process before its command begins; else it need not wait for us again.
  const bool is_awaited = !options.pidfd_socket.empty() || !options.pid_file.empty() || !options.console_socket.empty();
  // Who has died before that has said why.
  (void)send(socket, Step::mapped, created.pid).has_value();
  if (!is_awaited) (void)send(socket, Step::begin).has_value();
  TRY(until_ready(socket, options, created));
  if (!options.pidfd_socket.empty()) {
    const os::Fd agent = TRY(connect_to_path(options.pidfd_socket), "the pidfd socket");
    TRY(send_fd(agent, "pidfd", created.pidfd));
  }
  if (!options.pid_file.empty())
    TRY(os::write_file_atomically(options.pid_file, fmt::format("{}", created.pid), 0644),
        "the pid file");
  if (is_awaited) TRY(send(socket, Step::begin));
  const std::optional<Message> answer = TRY(receive(socket));
  if (answer && answer->step == Step::failed) return unpacked(answer->text);
  return {};
}

Error not_running(const std::string& id, Status status) {
  return Error(Code::invalid, "cannot exec in container '{}', which is {}", printable(id),
               name_of(status));
}

}  // namespace

Result<Created> exec(const Runtime& runtime, const std::string& id, const Process& process,
                     const ExecOptions& options) {
  const Record record = TRY(read_record(runtime.state_root, id));
  const Spec spec = TRY(options.spec != nullptr ? Result<Spec>(*options.spec) : spec_of(runtime, id));
  os::Fd target(static_cast<int>(::syscall(SYS_pidfd_open, record.state.pid, 0)));
  if (!target.is_open() || !is_alive(record)) return not_running(id, Status::stopped);
  const Cgroups cgroups(record.cgroups);
  if (!options.ignore_paused && cgroups.is_frozen())
    return Error(Code::invalid, "cannot exec in a paused container ('{}')", printable(id))
        .hint(fmt::format("`kist runtime resume {}`", printable(id)));

  ProcessPlan plan;
  SeccompFilter filter;
  plan.process = &process;
  plan.preserve_fds = options.preserve_fds;
  plan.streams = options.streams;
  plan.state = record.state;
  plan.state.pid = 0;  // The new process hears its own.
  plan.personality = spec.personality;
  plan.pretend_ownership = options.pretend_ownership;
  plan.own_program = os::own_program();
  TRY(prepare_filter(runtime, spec, plan, filter));
  if (!spec.seccomp) plan.filter = options.filter;
  plan.cgroup_entrances = TRY(cgroups.entrances(options.cgroups));
  const os::Fd proc = TRY(os::open_file("/proc", O_PATH | O_DIRECTORY));
  os::Fd root;
  if (record.chrooted)
    root = TRY(os::open_file(fmt::format("/proc/{}/root", record.state.pid), O_PATH | O_DIRECTORY));

  Spawn wanted;
  wanted.cgroups = &plan.cgroup_entrances;
  wanted.is_born_in_v2 = &plan.is_born_in_v2;
  wanted.enters_cgroups = true;
  const uint64_t flags = namespaces_of(spec);
  // One that shares everything has our namespaces, which may be joined too.
  wanted.joins.push_back({.flags = flags == 0 ? uint64_t{CLONE_NEWUTS} : flags,
                          .fd = os::Fd(::fcntl(target.get(), F_DUPFD_CLOEXEC, 0))});
  SocketPair pair = TRY(make_socket_pair());
  Created created;
  created.pid = TRY(spawn(wanted, [&] {
    pair.outside = os::Fd();
    // Or a low limit of open files leaves no room for what follows.
    plan.cgroup_entrances = {};
    wanted.joins.clear();
    target = os::Fd();
    if (root.is_open() && (::fchdir(root.get()) != 0 || ::chroot(".") != 0)) ::_exit(1);
    become_entered(plan, std::move(pair.inside), (flags & CLONE_NEWUSER) != 0, proc);
  }));
  pair.inside = os::Fd();
  created.pidfd = os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, created.pid, 0)));
  if (Result<void> done = go_on(runtime, pair.outside, process, options, created); !done) {
    ::kill(created.pid, SIGKILL);
    ::waitpid(created.pid, nullptr, 0);
    return std::move(done).error();
  }
  return created;
}

}  // namespace kist::bundle

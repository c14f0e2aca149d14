// Making a container, seen from outside. The order matters: the state's draft names what is about to
// be made before it is made, so that whoever comes after a crash can clean it up; and it becomes the
// state only when the process inside does not depend on us any more.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "bundle/hooks.h"
#include "bundle/inside.h"
#include "bundle/making.h"
#include "bundle/mount_calls.h"
#include "bundle/spawn.h"
#include "bundle/spec_writer.h"
#include "bundle/start_socket.h"
#include "bundle/state_folder.h"
#include "bundle/sync.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

struct Making {
  const Runtime& runtime;
  const Spec& spec;
  const CreateOptions& options;
  Record record;
  Cgroups cgroups;
  InitPlan plan;
  SeccompFilter filter;
  Placeholder placeholder;
  os::Fd listener;
  os::Fd socket;
  bool served = false;  // It has said that it is ready.
  Created created;
};

Result<void> check_preserved(unsigned count) {
  for (unsigned fd = 3; fd < 3 + count; ++fd) {
    const int flags = ::fcntl(static_cast<int>(fd), F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0)
      return Error(Code::invalid, "descriptor {} is to be preserved, but it is not open", fd);
  }
  return {};
}

// Makes the owners of what is in `tree` those of the mount's maps, or of the container's where it has
// none, which may be those of a namespace that it joins.
Result<void> map_owners(const Spec& spec, const Mount& mount, const os::Fd& tree) {
  const Namespace* joined = spec.find_namespace(CLONE_NEWUSER);
  const bool own = !mount.uid_maps.empty() || joined == nullptr || joined->path.empty();
  const os::Fd users = TRY(own ? make_user_namespace(mount.uid_maps.empty() ? spec.uid_maps : mount.uid_maps,
                                                     mount.gid_maps.empty() ? spec.gid_maps : mount.gid_maps)
                               : os::open_file(joined->path, O_RDONLY));
  mount_attr change = {};
  change.attr_set = MOUNT_ATTR_IDMAP;
  change.userns_fd = static_cast<uint64_t>(users.get());
  return change_mount(tree, change, mount.options.id_map_recursive);
}

// In a user namespace the host's folders may not be ours to enter any more, and only the host's root
// may map the owners of a mount: so these are opened before.
Result<void> open_sources(Making& making) {
  const Spec& spec = making.spec;
  making.plan.sources.resize(spec.mounts.size());
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    const Mount& mount = spec.mounts[i];
    const MountOptions& options = mount.options;
    if (const auto lent = making.options.trees.find(mount.source); lent != making.options.trees.end()) {
      making.plan.sources[i] = os::Fd(::fcntl(lent->second->get(), F_DUPFD_CLOEXEC, 3));
      continue;
    }
    const bool outside = making.plan.user_namespace && ::geteuid() == 0;
    if (!options.bind || options.remount || !(outside || options.id_map)) continue;
    const std::string path = source_path(making.record.state.bundle, mount);
    // A folder of the root itself is what the mounts before it have made of it.
    if (path.starts_with(making.record.state.root + "/") && !options.id_map) continue;
    os::Fd tree = TRY(copy_mount(nullptr, path, options.recursive), "mounts[{}].source", i);
    // A copy of a shared mount would send what is mounted on it back to the host.
    TRY(set_propagation(tree, MS_SLAVE | MS_REC), "mounts[{}]", i);
    if (options.id_map)
      TRY(map_owners(spec, mount, tree), "mounts[{}]: mapping the owners of '{}'", i, printable(path));
    making.plan.sources[i] = std::move(tree);
  }
  return {};
}

// A caller who has gone there before has spared us the process that joins.
bool is_in(const Namespace& ns, const os::Fd& fd) {
  struct stat theirs = {};
  struct stat ours = {};
  return ns.flag == CLONE_NEWNET && ::fstat(fd.get(), &theirs) == 0 && ::stat("/proc/self/ns/net", &ours) == 0 &&
         theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

Result<Spawn> namespaces_of(const Spec& spec) {
  Spawn out;
  for (const Namespace& ns : spec.namespaces) {
    if (ns.path.empty()) {
      out.fresh |= ns.flag;
      continue;
    }
    auto fd = os::open_file(ns.path, O_RDONLY);
    if (!fd) return Error(fd.error()).context("linux.namespaces");
    if (is_in(ns, *fd)) continue;
    out.joins.push_back({.flags = ns.flag, .fd = std::move(*fd)});
  }
  out.time_offsets = spec.time_offsets;
  return out;
}

Result<void> prepare(Making& making, const StateFolder& folder) {
  const Spec& spec = making.spec;
  InitPlan& plan = making.plan;
  plan.spec = &spec;
  plan.options = &making.options;
  plan.root = making.record.state.root;
  plan.fresh = making.record.namespaces;
  plan.user_namespace = spec.find_namespace(CLONE_NEWUSER) != nullptr;
  plan.process.process = &*spec.process;
  plan.process.preserve_fds = making.options.preserve_fds;
  plan.process.streams = making.options.streams;
  plan.process.personality = spec.personality;
  plan.process.pretend_ownership = making.options.pretend_ownership;
  plan.process.own_program = os::own_program();
  plan.process.state = making.record.state;
  if (!making.options.no_new_keyring) plan.keyring = "_ses." + making.record.state.id;
  TRY(prepare_filter(making.runtime, spec, plan.process, making.filter));
  if (!spec.seccomp) plan.process.filter = making.options.filter;
  plan.hierarchies = TRY(read_cgroup_hierarchies());
  making.cgroups = TRY(make_cgroups(making.runtime, spec, folder, plan.hierarchies, making.record,
                                     making.placeholder));
  TRY(restrict_devices(making.runtime, spec, making.cgroups));
  plan.cgroups = making.cgroups.folders();
  plan.process.cgroup_entrances = TRY(making.cgroups.entrances());
  return open_sources(making);
}

// Hooks of the runtime run here, the terminal goes where it is wanted. Until it is ready, or with
// `begun` until its end of the socket is closed, as it is when the command begins.
Result<void> serve_inside(Making& making, bool begun) {
  while (true) {
    std::optional<Message> message = TRY(receive(making.socket));
    // One that begins without having been ready has been killed.
    if (!message && begun && making.served) return {};
    if (!message)
      return Error(Code::unavailable, "the first process of the container died while it was made")
          .hint("a limit of memory or of processes may be too low for it");
    switch (message->step) {
      case Step::failed: return unpacked(message->text);
      case Step::warning:
        if (making.runtime.warn) making.runtime.warn(message->text);
        break;
      case Step::terminal:
        TRY(deliver_terminal(std::move(message->fd), making.options.console_socket,
                             making.created));
        break;
      case Step::hooks: {
        const Hooks& hooks = making.spec.hooks;
        TRY(run_hooks(hooks.prestart, "prestart", making.record.state));
        TRY(run_hooks(hooks.create_runtime, "createRuntime", making.record.state));
        TRY(send(making.socket, Step::hooks));
        break;
      }
      case Step::ready:
        making.served = true;
        if (!begun) return {};
        break;
      default: return Error(Code::internal, "an unexpected message from inside");
    }
  }
}

// When nobody is there to be told, why is in what was said last.
Result<void> tell(Making& making, Step step, int32_t number = 0) {
  const Result<void> sent = send(making.socket, step, number);
  if (sent) return {};
  TRY(serve_inside(making, true));
  return sent;
}

Result<void> write_pid_file(const std::string& path, pid_t pid) {
  if (path.empty()) return {};
  TRY(os::write_file_atomically(path, fmt::format("{}", pid), 0644), "the pid file");
  return {};
}

bool needs_nothing(const Making& making) {
  const Hooks& hooks = making.spec.hooks;
  return !making.plan.user_namespace && making.options.pidfd_socket.empty() &&
         hooks.prestart.empty() && hooks.create_runtime.empty() && hooks.create_container.empty();
}

Result<void> record_process(const Making& making, const StateFolder& folder) {
  TRY(folder.write_draft(making.record));
  return write_pid_file(making.options.pid_file, making.created.pid);
}

// It refuses to execute us; but what it looked at may have been swapped before it was executed.
Result<void> refuse_own_program(const Making& making) {
  const os::OwnProgram& own = making.plan.process.own_program;
  struct stat st = {};
  // A reaper is us, from a descriptor that was opened for it.
  if (own.inode == 0 || making.options.reaper || ::stat(fmt::format("/proc/{}/exe", making.created.pid).c_str(), &st) != 0) return {};
  if (st.st_ino != own.inode || st.st_dev != own.device) return {};
  return Error(Code::denied, "the command is the container runtime itself: permission denied");
}

Result<void> start_process(Making& making, const StateFolder& folder, bool begin) {
  const Spec& spec = making.spec;
  if (!begin) making.listener = TRY(listen_for_start(folder.path()));
  SocketPair pair = TRY(make_socket_pair());
  Spawn wanted = TRY(namespaces_of(spec));
  wanted.cgroups = &making.plan.process.cgroup_entrances;
  wanted.is_born_in_v2 = &making.plan.process.is_born_in_v2;
  const os::Fd* listener = begin ? nullptr : &making.listener;
  making.created.pid = TRY(spawn(wanted, [&] {
    pair.outside = os::Fd();
    // The lock on the state must not outlive us in the copy.
    ::close(folder.folder().get());
    become_init(making.plan, std::move(pair.inside), listener);
  }));
  const pid_t pid = making.created.pid;
  making.socket = std::move(pair.outside);
  pair.inside = os::Fd();
  making.record.state.pid = pid;
  making.record.start_time = start_time_of(pid);
  making.created.pidfd = os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if ((making.record.namespaces & CLONE_NEWUSER) != 0)
    TRY(write_id_maps(pid, spec.uid_maps, spec.gid_maps));
  if (making.options.on_namespaces) TRY(making.options.on_namespaces(pid));
  set_kill_score(making.runtime, pid, *spec.process);
  TRY(tell(making, Step::mapped, pid));
  // With nothing to agree upon on the way, nobody waits for anybody until the command has begun.
  if (begin && needs_nothing(making)) {
    TRY(record_process(making, folder));
    TRY(tell(making, Step::begin));
    TRY(wait_for_end(making.socket));
    TRY(serve_inside(making, true));
    TRY(refuse_own_program(making));
    return folder.commit();
  }
  TRY(serve_inside(making, false));
  if (making.plan.user_namespace) TRY(set_limits(making.runtime, pid, *spec.process));
  if (!making.options.pidfd_socket.empty()) {
    const os::Fd agent = TRY(connect_to_path(making.options.pidfd_socket), "the pidfd socket");
    TRY(send_fd(agent, "pidfd", making.created.pidfd));
  }
  TRY(record_process(making, folder));
  if (begin) {
    TRY(tell(making, Step::begin));
    TRY(serve_inside(making, true));
    TRY(refuse_own_program(making));
    return folder.commit();
  }
  TRY(tell(making, Step::committed));
  TRY(expect(making.socket, Step::waiting));
  return folder.commit();
}

void forget(Making& making, const StateFolder& folder) {
  Record& record = making.record;
  // Its parent is us: nobody else will reap it.
  if (making.created.pid > 0) {
    ::kill(making.created.pid, SIGKILL);
    ::waitpid(making.created.pid, nullptr, 0);
    record.start_time = 0;
  }
  (void)clean_up(record).has_value();
  (void)folder.remove().has_value();
}

Result<Created> make(const Runtime& runtime, const std::string& id, const Spec& spec,
                     const CreateOptions& given, bool begin) {
  CreateOptions options = given;
  TRY(check_id(id));
  TRY(check_spec(spec, options));
  if (runtime.warn && !spec.mounts.empty() && spec.find_namespace(CLONE_NEWNS) == nullptr)
    runtime.warn("mounts: none is made, since linux.namespaces has no \"mount\"");
  TRY(check_preserved(options.preserve_fds));
  const StateFolder folder = TRY(StateFolder::claim(runtime.state_root, id));
  Making making = {.runtime = runtime, .spec = spec, .options = options, .record = {},
                   .cgroups = {}, .plan = {}, .filter = {}, .placeholder = {}, .listener = {}, .socket = {},
                   .served = false, .created = {}};
  const auto all = [&]() -> Result<void> {
    making.record = TRY(describe(spec, options, id));
    options.bundle = making.record.state.bundle;
    TRY(folder.write_config(options.config_bytes.empty() ? spec_text(spec) : options.config_bytes));
    TRY(prepare(making, folder));
    return start_process(making, folder, begin);
  };
  const Result<void> made = all();
  making.placeholder.close();
  if (!made) {
    forget(making, folder);
    return made.error();
  }
  if (begin) {
    making.record.state.status = Status::running;
    run_hooks_to_the_end(spec.hooks.poststart, "poststart", making.record.state, runtime);
  }
  return std::move(making.created);
}

}  // namespace

Result<void> prepare_filter(const Runtime& runtime, const Spec& spec, ProcessPlan& plan,
                            SeccompFilter& filter) {
  if (!spec.seccomp) return {};
  filter = TRY(cached_seccomp(*spec.seccomp, os::join(runtime.state_root, ".seccomp")));
  plan.filter = &filter;
  plan.seccomp_metadata = spec.seccomp->listener_metadata;
  if (filter.notifies)
    plan.agent =
        TRY(connect_to_path(spec.seccomp->listener_path), "linux.seccomp.listenerPath: failed to connect with seccomp agent");
  return {};
}

Result<void> deliver_terminal(os::Fd master, const std::string& console_socket, Created& created) {
  if (console_socket.empty()) {
    created.terminal = std::move(master);
    return {};
  }
  const os::Fd socket = TRY(connect_to_path(console_socket), "the console socket");
  TRY(send_fd(socket, "/dev/ptmx", master), "the console socket");
  return {};
}

Result<Created> create(const Runtime& runtime, const std::string& id, const Spec& spec,
                       const CreateOptions& options) {
  return make(runtime, id, spec, options, false);
}

Result<Created> create_started(const Runtime& runtime, const std::string& id, const Spec& spec,
                               const CreateOptions& options) {
  return make(runtime, id, spec, options, true);
}

}  // namespace kist::bundle

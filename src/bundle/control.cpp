// What can be done with a container that exists.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/sched.h>
#include <cerrno>

#include "base/text.h"
#include "bundle/cgroups.h"
#include "bundle/container.h"
#include "bundle/hooks.h"
#include "bundle/spec_reader.h"
#include "bundle/start_socket.h"
#include "bundle/systemd_scope.h"
#include "bundle/state_folder.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

State with_status(const Runtime& runtime, const Record& record) {
  State state = record.state;
  state.status = status_of(runtime.state_root, record);
  if (state.status == Status::stopped) state.pid = 0;
  return state;
}

std::string folder_of(const Runtime& runtime, const std::string& id) {
  return os::join(runtime.state_root, id);
}

Result<void> send_signal(const Record& record, int signal) {
  const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, record.state.pid, 0)));
  if (!process.is_open() || !is_alive(record))
    return Error(Code::not_found, "container not running");
  if (::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) != 0)
    return Error::from_errno(errno, "send signal {}", signal);
  return {};
}

Result<void> check_removable(const Runtime& runtime, const Record& record) {
  const Status status = status_of(runtime.state_root, record);
  // A created one has run nothing yet; runc deletes it without being forced, too.
  if (status == Status::stopped || status == Status::created) return {};
  return Error(Code::invalid, "cannot delete container '{}' that is not stopped: {}",
               printable(record.state.id), name_of(status))
      .hint(fmt::format("`kist runtime delete --force {}`", printable(record.state.id)));
}

Result<void> remove_locked(const Runtime& runtime, const std::string& id,
                           const RemoveOptions& options, const StateFolder& folder) {
  auto record = read_record(runtime.state_root, id);
  if (!record) {
    // One that was never finished, or is half removed.
    const auto draft = read_draft(runtime.state_root, id);
    if (draft) TRY(clean_up(*draft));
    if (!options.force && !draft) return record.error();
    return folder.remove();
  }
  if (!options.force) TRY(check_removable(runtime, *record));
  Hooks hooks;
  if (options.spec != nullptr) {
    hooks = options.spec->hooks;
  } else if (const auto spec = spec_of(runtime, id)) {
    hooks = spec->hooks;
  }
  TRY(clean_up(*record), "removing container '{}'", printable(id));
  TRY(folder.remove());
  State state = record->state;
  state.status = Status::stopped;
  state.pid = 0;
  run_hooks_to_the_end(hooks.poststop, "poststop", state, runtime);
  return {};
}

Result<void> set_frozen(const Runtime& runtime, const std::string& id, bool frozen) {
  const StateFolder folder = TRY(StateFolder::lock(runtime.state_root, id));
  const Record record = TRY(read_record(runtime.state_root, id));
  const Status status = status_of(runtime.state_root, record);
  const bool fits = frozen ? status == Status::running || status == Status::created
                           : status == Status::paused;
  if (!fits)
    return Error(Code::invalid, "container '{}' is {}, so it cannot be {}", printable(id),
                 name_of(status), frozen ? "paused" : "resumed");
  return Cgroups(record.cgroups).freeze(frozen);
}

}  // namespace

Result<void> start(const Runtime& runtime, const std::string& id) {
  const StateFolder folder = TRY(StateFolder::lock(runtime.state_root, id));
  Record record = TRY(read_record(runtime.state_root, id));
  if (!is_alive(record))
    return Error(Code::invalid, "cannot start container '{}', which is stopped", printable(id));
  TRY(start_waiting(folder.path()));
  const Spec spec = TRY(spec_of(runtime, id));
  if (spec.hooks.poststart.empty()) return {};
  record.state.status = Status::running;
  run_hooks_to_the_end(spec.hooks.poststart, "poststart", record.state, runtime);
  return {};
}

Result<void> kill(const Runtime& runtime, const std::string& id, int signal,
                  const KillOptions& options) {
  const Record record = TRY(read_record(runtime.state_root, id));
  const Cgroups cgroups(record.cgroups);
  const bool lives_on = signal == SIGKILL && (record.namespaces & CLONE_NEWPID) == 0 && !cgroups.empty();
  if (options.all || lives_on) {
    // Without pids of its own a container is more than its first process, and may outlive it.
    const auto left = cgroups.processes();
    if (is_alive(record) || (!options.all && (!left || left->empty()))) TRY(send_signal(record, 0));
    return cgroups.kill(signal);
  }
  TRY(send_signal(record, signal));
  // A frozen process gets its end only when it thaws.
  if (signal == SIGKILL && cgroups.is_frozen()) return cgroups.freeze(false);
  return {};
}

Result<void> remove(const Runtime& runtime, const std::string& id, const RemoveOptions& options) {
  auto folder = StateFolder::lock(runtime.state_root, id);
  if (!folder) {
    if (options.force && folder.error().code() == Code::not_found) return {};
    return std::move(folder).error();
  }
  return remove_locked(runtime, id, options, *folder);
}

Result<State> state(const Runtime& runtime, const std::string& id) {
  const Record record = TRY(read_record(runtime.state_root, id));
  return with_status(runtime, record);
}

Result<std::vector<State>> list(const Runtime& runtime) {
  std::vector<State> out;
  const std::vector<std::string> ids = TRY(list_ids(runtime.state_root));
  for (const std::string& id : ids) {
    const auto record = read_record(runtime.state_root, id);
    if (record) out.push_back(with_status(runtime, *record));
  }
  return out;
}

Result<void> pause(const Runtime& runtime, const std::string& id) {
  return set_frozen(runtime, id, true);
}

Result<void> resume(const Runtime& runtime, const std::string& id) {
  return set_frozen(runtime, id, false);
}

Result<std::vector<pid_t>> processes(const Runtime& runtime, const std::string& id) {
  const Record record = TRY(read_record(runtime.state_root, id));
  return Cgroups(record.cgroups).processes();
}

Result<void> update(const Runtime& runtime, const std::string& id, const Resources& resources) {
  const StateFolder folder = TRY(StateFolder::lock(runtime.state_root, id));
  const Record record = TRY(read_record(runtime.state_root, id));
  if (!is_alive(record))
    return Error(Code::invalid, "cannot update container '{}', which is stopped", printable(id));
  const Cgroups cgroups(record.cgroups);
  if (cgroups.empty())
    return Error(Code::unsupported, "the container has no cgroup, so its limits cannot be changed while it runs")
        .hint("run it as root, or where cgroups are delegated to you");
  TRY(cgroups.apply(resources));
  if (record.systemd_unit.empty()) return {};
  const auto told = TRY(limit_properties(resources, systemd_version(cgroups)));
  return change_scope(record.systemd_unit, told);
}

Result<Spec> spec_of(const Runtime& runtime, const std::string& id) {
  TRY(check_id(id));
  auto spec = read_spec_file(os::join(folder_of(runtime, id), "config.json"));
  if (!spec) TRY(read_record(runtime.state_root, id));  // That it is not there says more.
  return spec;
}

Result<MemoryPeak> memory_peak(const Runtime& runtime, const std::string& id) {
  const Record record = TRY(read_record(runtime.state_root, id));
  return Cgroups(record.cgroups).memory_peak();
}

Result<Usage> usage(const Runtime& runtime, const std::string& id) {
  const Record record = TRY(read_record(runtime.state_root, id));
  if (!is_alive(record))
    return Error(Code::invalid, "container '{}' is not running", printable(id));
  return Cgroups(record.cgroups).usage();
}

Result<std::map<std::string, std::string>> cgroups_of(const Runtime& runtime,
                                                      const std::string& id) {
  const Record record = TRY(read_record(runtime.state_root, id));
  std::map<std::string, std::string> out;
  for (const CgroupFolder& folder : record.cgroups) {
    if (folder.version == 2) out[""] = folder.path;
    if (folder.version == 1)
      for (const std::string& controller : folder.controllers) out[controller] = folder.path;
  }
  return out;
}

}  // namespace kist::bundle

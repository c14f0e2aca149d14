// The process inside, from the clone to the command. It is a copy of the caller, which had one
// thread, so it may allocate; what fails is sent out as an Error.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/cgroup_host.h"
#include "bundle/cgroups.h"
#include "bundle/container.h"
#include "bundle/seccomp_filter.h"
#include "bundle/spec.h"
#include "os/fd.h"
#include "os/own_program.h"

namespace kist::bundle {

/// What a process needs to become the one that the configuration asks for; also that of exec.
struct ProcessPlan {
  const Process* process = nullptr;
  const SeccompFilter* filter = nullptr;  // Null: none.
  bool pretend_ownership = false;         // A second filter (pretend_ownership.h).
  os::Fd agent;  // Connected; gets the filter's listener, if it has one.
  std::string seccomp_metadata;
  unsigned preserve_fds = 0;
  StandardStreams streams;
  CgroupEntrances cgroup_entrances;
  bool is_born_in_v2 = false;  // Told by spawn().
  std::optional<unsigned long> personality;
  os::OwnProgram own_program;  // Not to be executed inside.
  State state;  // For hooks and listeners; its pid comes from outside.
};

/// What the first process needs besides.
struct InitPlan {
  ProcessPlan process;
  const Spec* spec = nullptr;
  const CreateOptions* options = nullptr;
  std::string root;                // Absolute path of the root file system.
  uint64_t fresh = 0;              // Namespaces that are new, CLONE_NEW*.
  bool user_namespace = false;     // A new or another one.
  std::vector<os::Fd> sources;     // Of the mounts, by their index, where opened from outside.
  std::string keyring;             // Name of a session keyring to join; empty: none.
  std::vector<Hierarchy> hierarchies;
  std::vector<CgroupFolder> cgroups;
};

/// inside.cpp. `socket` leads to the outside. `listener`: where to wait to be started; null: told to
/// begin through `socket`.
[[noreturn]] void become_init(InitPlan& plan, os::Fd socket, const os::Fd* listener);
/// The same for a process that enters a container: it is in its namespaces already. `proc`: the
/// host's /proc, opened before.
[[noreturn]] void become_entered(ProcessPlan& plan, os::Fd socket, bool user_namespace,
                                 const os::Fd& proc);

/// inside_mounts.cpp: what is mounted in the root.
Result<void> mount_all(const InitPlan& plan, const os::Fd& root);
/// At the end: what had to stay writable until now becomes read-only.
Result<void> protect_mounts(const InitPlan& plan, const os::Fd& root);

/// Of a bind mount: relative ones start from the bundle.
inline std::string source_path(const std::string& bundle, const Mount& mount) {
  return mount.source.starts_with('/') ? mount.source : bundle + "/" + mount.source;
}

/// inside_cgroup_mount.cpp: a mount of type "cgroup".
Result<void> mount_cgroups(const InitPlan& plan, const os::Fd& root, const Mount& mount);

/// inside_root.cpp: the root itself, and paths in it that are hidden or read-only.
Result<os::Fd> open_root(const InitPlan& plan);
Result<void> hide_paths(const InitPlan& plan, const os::Fd& root);
Result<void> enter_root(const InitPlan& plan, const os::Fd& root);

/// inside_devices.cpp: /dev.
Result<void> make_devices(const InitPlan& plan, const os::Fd& root);
/// A terminal of the container's own devpts: its other end goes out, it becomes 0, 1 and 2, and with
/// `console` is /dev/console.
Result<void> take_terminal(const Process& process, const os::Fd& root, const os::Fd& socket,
                           bool console);

/// inside_process.cpp: privileges and identity. Lets go of all that the process shall not have, and
/// closes every descriptor but 0, 1, 2, those to preserve, and `kept`. `proc`: the host's /proc.
Result<void> become_user(const ProcessPlan& plan, const os::Fd& proc, std::vector<int> kept);
void close_all_but(unsigned preserved, std::vector<int> kept);
/// The program's path. Errors: not_found, denied, as execve would have them; denied also for
/// plan.own_program.
Result<std::string> find_program(const ProcessPlan& plan);
/// inside_reaper.cpp: from here on this is a child of the first process, which becomes `program` (this one)
/// as reaper.h has it.
Result<void> put_reaper_in_front(const os::Fd& program);
/// For hooks that are to run under the filter too; execute() does not install it again.
Result<void> install_filter_early(ProcessPlan& plan);
/// Never returns if all is well. The filter is the last thing before.
Error execute(const ProcessPlan& plan, const std::string& program);

}  // namespace kist::bundle

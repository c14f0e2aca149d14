// Containers by the OCI runtime specification: made from a bundle::Spec, known by a name, kept in a
// folder of state, so that each of these calls may come from another process.
//
//   const bundle::Runtime runtime = {.state_root = "/run/kist-runtime"};
//   const bundle::Spec spec = TRY(bundle::read_spec_file("bundle/config.json"));
//   const bundle::Created made = TRY(bundle::create(runtime, "web", spec, {.bundle = "bundle"}));
//   TRY(bundle::start(runtime, "web"));
//   …
//   TRY(bundle::kill(runtime, "web", SIGTERM, {}));
//   TRY(bundle::remove(runtime, "web", {.force = true}));
//
// Threads: create(), run() and exec() clone the calling process and go on in the copy, so the caller
// must have one thread only. Durability: none; state is meant for /run and dies with the machine.
// A crash (of the caller, at any step) never blocks the next create() of the same name.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bundle/seccomp_filter.h"
#include "bundle/spec.h"
#include "os/fd.h"

namespace kist::bundle {

/// What all calls share.
struct Runtime {
  std::string state_root;  // Absolute; made when missing, mode 0711.
  bool systemd_cgroups = false;
  /// On a hybrid host a container has a cgroup of version 2 too, as with runc, though nothing limits it
  /// there: others may look for it. It costs a twentieth of a start.
  bool groups_in_v2 = false;
  /// Cgroups that cannot be made are no error (as runc's --rootless). Empty: acts_for_a_user().
  std::optional<bool> rootless;
  /// Told what was done less than asked for: a limit lowered, a capability that does not exist.
  std::function<void(const std::string&)> warn;
};

/// Whether we act for a plain user: as that user, or as root of a user namespace, as podman has it.
bool acts_for_a_user();

enum class Status { creating, created, running, paused, stopped };
std::string_view name_of(Status status);

/// What is known of one container.
struct State {
  std::string id;
  std::string oci_version;
  Status status = Status::stopped;
  pid_t pid = 0;  // 0: stopped.
  std::string bundle;
  std::string root;     // Absolute path of the root file system on the host.
  std::string created;  // RFC 3339, UTC.
  std::string owner;    // Name or number of who made it.
  std::map<std::string, std::string> annotations;
};

/// Lent descriptors for 0, 1 and 2 of the process; null: the caller's own.
struct StandardStreams {
  const os::Fd* input = nullptr;
  const os::Fd* output = nullptr;
  const os::Fd* error = nullptr;
  /// Of a terminal: what is printed comes out as it was printed, a newline without a carriage return.
  bool plain_newlines = false;
};

struct CreateOptions {
  std::string bundle;          // Folder that relative paths start from; recorded in the state.
  std::string console_socket;  // Path of a socket that gets the terminal's other end.
  std::string pidfd_socket;    // Path of a socket that gets a pidfd of the first process.
  std::string pid_file;        // Written when it is there to be started.
  unsigned preserve_fds = 0;   // Descriptors 3 … 2+N are kept.
  bool no_pivot = false;
  bool reaper = false;  // The first process reaps orphans and passes signals on; the command is its child.
  bool no_new_keyring = false;
  /// config.json as it was read: kept in the state, for later calls. Empty: `spec` is written anew
  /// (only what start, exec and remove need of it).
  std::string config_bytes;
  StandardStreams streams;
  /// Makes the root instead of spec.root_path: called inside, in the new mount namespace, with the
  /// ids of the container and all capabilities over it; gives a mount that is attached nowhere (as
  /// fsmount(2)). It runs in a copy of this process, so what it changes is seen inside alone: it may
  /// fill in spec.process->user from the root's own accounts.
  std::function<Result<os::Fd>()> mount_root;
  /// Mounts that are attached nowhere, by the source of the bind mounts in `spec` that stand for them.
  std::map<std::string, const os::Fd*> trees;
  /// Called outside when the namespaces are there, owned and mapped, and nothing else: the first
  /// process waits. Later it hides itself from its own user. An error ends it.
  std::function<Result<void>(pid_t)> on_namespaces;
  /// A filter that is compiled already; used when spec.seccomp is empty. Must outlive the call.
  const SeccompFilter* filter = nullptr;
  /// chown(2) and its kin answer success and do nothing: for a container with one id.
  bool pretend_ownership = false;
};

struct Created {
  pid_t pid = 0;
  os::Fd pidfd;
  os::Fd terminal;  // The master's end, when there is a terminal and no console_socket.
};

/// Makes the container up to the point where only start() is missing.
///
/// Errors: exists (the name is taken), invalid (spec or name), not_found (root, mount source,
/// command), denied, unsupported. Nothing of it is left.
Result<Created> create(const Runtime& runtime, const std::string& id, const Spec& spec,
                       const CreateOptions& options);
/// Lets the command begin. Errors: not_found, invalid (not in state created), and what execve said.
Result<void> start(const Runtime& runtime, const std::string& id);
/// create() and start() at once, cheaper by their handshake.
Result<Created> create_started(const Runtime& runtime, const std::string& id, const Spec& spec,
                               const CreateOptions& options);

struct ExecOptions {
  std::string console_socket;
  std::string pidfd_socket;
  std::string pid_file;
  unsigned preserve_fds = 0;
  bool ignore_paused = false;
  /// Relative to the container's own: "PATH", or "CONTROLLER[,CONTROLLER…]:PATH" with version 1.
  std::vector<std::string> cgroups;
  StandardStreams streams;
  /// What the container was made from, where no config_bytes were kept; and the filter that it got.
  const Spec* spec = nullptr;
  const SeccompFilter* filter = nullptr;
  bool pretend_ownership = false;
};
/// Whether a command could not be executed, as opposed to what comes before it.
bool is_of_execve(const Error& error);
/// One more process in a running container. Its parent is the caller, who must wait for it.
Result<Created> exec(const Runtime& runtime, const std::string& id, const Process& process,
                     const ExecOptions& options);

struct KillOptions {
  bool all = false;  // Every process of the container.
};
Result<void> kill(const Runtime& runtime, const std::string& id, int signal,
                  const KillOptions& options);
struct RemoveOptions {
  bool force = false;  // Kill it first; a container that is not there is no error.
  /// What it was made from, by who knows; null: read from its state.
  const Spec* spec = nullptr;
};
Result<void> remove(const Runtime& runtime, const std::string& id, const RemoveOptions& options);

Result<State> state(const Runtime& runtime, const std::string& id);
/// In the order of their names; what cannot be read is left out.
Result<std::vector<State>> list(const Runtime& runtime);
Result<void> pause(const Runtime& runtime, const std::string& id);
Result<void> resume(const Runtime& runtime, const std::string& id);
/// Pids as the caller sees them.
Result<std::vector<pid_t>> processes(const Runtime& runtime, const std::string& id);
/// Only what `resources` sets is changed.
Result<void> update(const Runtime& runtime, const std::string& id, const Resources& resources);
/// The spec that the container was made from.
Result<Spec> spec_of(const Runtime& runtime, const std::string& id);

/// A value of 0 is one that this host cannot tell.
struct Usage {
  uint64_t cpu_total_ns = 0, cpu_user_ns = 0, cpu_system_ns = 0;
  std::vector<uint64_t> cpu_per_core_ns;
  uint64_t throttled_periods = 0, periods = 0, throttled_ns = 0;
  uint64_t memory_bytes = 0, memory_limit_bytes = 0, memory_peak_bytes = 0, memory_failures = 0;
  uint64_t memory_swap_bytes = 0, memory_cache_bytes = 0;
  std::map<std::string, uint64_t> memory_raw;  // memory.stat
  uint64_t pids = 0, pids_limit = 0;
  struct Io {
    uint64_t major = 0, minor = 0;
    std::string operation;  // "Read", "Write" …
    uint64_t value = 0;
  };
  std::vector<Io> io_bytes, io_operations;
  uint64_t oom_kills = 0;
};
Result<Usage> usage(const Runtime& runtime, const std::string& id);
/// What is worth knowing of one that has ended, until it is removed. Zeros: not known. Few files, and none for
/// which the kernel would add up what all processors have counted.
struct MemoryPeak {
  uint64_t peak_bytes = 0, limit_bytes = 0;
  uint64_t oom_kills = 0;
};
Result<MemoryPeak> memory_peak(const Runtime& runtime, const std::string& id);
/// Where its cgroups are: controller ("" is version 2) → folder.
Result<std::map<std::string, std::string>> cgroups_of(const Runtime& runtime, const std::string& id);

}  // namespace kist::bundle

// A container, worked out to the last byte before the clone: what runs after it may not allocate.
#pragma once

#include <signal.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "os/own_program.h"
#include "runtime/container.h"

namespace kist::runtime {

struct PlannedMount {
  const Mount* mount;
  std::string options;  // tmpfs; discard_writes: of the overlay.
  int source = -1;      // bind: the detached tree; opened by the child in its own mount namespace.
};

struct Plan {
  const ContainerSpec* spec = nullptr;
  /// Not root (or root without CAP_SYS_ADMIN): every privilege inside comes from a user namespace.
  bool user_namespace = false;
  std::string uid_map;
  std::string gid_map;
  /// Only where /sys/fs/cgroup is version 2, which can be mounted afresh inside with the container's
  /// cgroup as its root. Version 1 cannot, and /proc/self/cgroup must name what /sys shows: Java's
  /// run time, for one, dies on finding a cgroup that no mount holds.
  bool cgroup_namespace = false;
  uint64_t capabilities = 0;  // What the command may have in its bounding set.

  std::string work_folder;      // Beside spec.upper_folder, if there is one.
  bool layer_keys = true;       // The kernel has "lowerdir+" and "datadir+" (Linux 6.7).
  std::string overlay_options;  // For mount(2), where it has not.
  std::string shm_options;
  const char* devpts_options = nullptr;
  std::string terminal;     // Host path of the terminal that is stdin, or empty.
  std::string passwd_line;  // With their newlines.
  std::string group_line;
  std::string passwd_field;  // ":1000:", what an entry for the id contains.
  std::string group_field;
  mutable std::vector<PlannedMount> mounts;  // Mutable: the child fills in what it has opened.

  std::vector<std::string> candidates;  // Paths to try to execute, in order.
  os::OwnProgram own_program;           // Not to be executed inside.
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<int> fds;               // fds[i] becomes i inside.
  std::vector<int> cgroup_procs;      // Files to write "0" to.
  sigset_t signal_mask = {};          // The caller's own, for the command.
  bool ignores_child_signal = false;  // So did the caller, and so shall the command.
};

/// Checks `spec` and lays it out. Touches nothing but `spec.upper_folder`, which it makes.
/// `spec` must outlive the plan. Errors: invalid, not_found.
Result<Plan> make_plan(const ContainerSpec& spec);
/// The part that depends on whether there will be a user namespace.
void choose_user_namespace(Plan& plan, bool user_namespace);

}  // namespace kist::runtime

// The cgroups of one container, in whatever hierarchies the host has.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/cgroup_host.h"
#include "bundle/container.h"
#include "bundle/spec.h"
#include "os/fd.h"

namespace kist::bundle {

/// One folder of ours: of version 2 (controllers are those that it could have), or of some of 1.
struct CgroupFolder {
  int version = 1;
  std::vector<std::string> controllers;
  std::string path;
  std::string mount_point;
  bool only_groups = false;  // No controller of it is wanted; where it cannot be made, it is left out.
};

/// Open files of cgroups, for who enters them.
struct CgroupEntrances {
  std::vector<os::Fd> v1;  // "tasks", to write "0" to.
  os::Fd v2;               // "cgroup.procs", the same; closed where there is none.
  /// Its folder, to be born in: a process that moves waits for a grace period of the kernel's, often
  /// milliseconds.
  os::Fd v2_folder;
};

/// Where a container's cgroups are, made or not. A value: knows nothing but the paths.
class Cgroups {
 public:
  Cgroups() = default;
  explicit Cgroups(std::vector<CgroupFolder> folders) : folders_(std::move(folders)) {}
  /// On a hybrid host version 2 is used when `resources` wants a controller that is only there; with
  /// `groups_in_v2` it holds the processes in any case.
  static Result<Cgroups> plan(const Spec& spec, const std::string& id,
                              const std::vector<Hierarchy>& hierarchies, bool groups_in_v2 = false);

  /// Those of a scope of systemd: `path` is in the tree that systemd keeps, and for all the same.
  static Cgroups of_scope(const std::string& path, const std::vector<Hierarchy>& hierarchies);

  const std::vector<CgroupFolder>& folders() const { return folders_; }
  bool empty() const { return folders_.empty(); }
  /// That of version 1 if there is one, else of version 2.
  const CgroupFolder* find(std::string_view controller) const;
  const CgroupFolder* find_v2() const;

  /// Makes the folders. One that exists must have nobody in it. With `lenient`, those that cannot be
  /// made are forgotten. `shared`: one that exists is as good. Errors: exists, denied.
  Result<void> make(bool lenient, bool shared = false);
  Result<void> apply(const Resources& resources) const;
  Result<void> apply_devices(const std::vector<DeviceRule>& rules) const;
  /// Open files: writing "0" to each of them moves the writing process, which must have one thread.
  Result<CgroupEntrances> entrances(const std::vector<std::string>& below = {}) const;

  Result<std::vector<pid_t>> processes() const;
  /// Waits until it is so. Errors: unsupported (no freezer).
  Result<void> freeze(bool frozen) const;
  bool is_frozen() const;
  /// To each process; SIGKILL reaches those that are being made, too.
  Result<void> kill(int signal) const;
  /// Removes the folders and those below them; waits a little for the last process to be gone.
  Result<void> remove() const;
  Result<Usage> usage() const;
  MemoryPeak memory_peak() const;

 private:
  std::vector<CgroupFolder> folders_;
};

}  // namespace kist::bundle

// The files of a container, seen from outside, whether it runs or not: for cp, diff, export, commit.
//
//   with_ids_of(host, record, [&]() -> Result<void> {
//     const ContainerFiles files = TRY(ContainerFiles::open(host, record, {.mounts = true}));
//     const os::Fd etc = TRY(os::open_in_root(files.root(), "/etc", O_PATH));
//     …
//
// All paths in it are hostile: resolve them by os::open_in_root. Threads: open() forks; the object is for one.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>

#include "containers/machine.h"

namespace kist::containers {

struct FilesWanted {
  bool mounts = false;  // With what is mounted in it: volumes, folders of the host.
  bool image = false;   // Also the image alone, to compare with.
};

class ContainerFiles {
 public:
  /// Called in with_ids_of(). One that does not run cannot be started while this lives.
  /// Errors: unavailable (it is being started), those of mounting.
  static Result<ContainerFiles> open(const MachineHost& host, const Record& record, const FilesWanted& wanted);
  ContainerFiles(ContainerFiles&&) noexcept = default;
  ContainerFiles& operator=(ContainerFiles&&) noexcept = default;

  const os::Fd& root() const { return root_; }
  const os::Fd& image() const { return image_; }
  /// What it wrote, as overlayfs keeps it; not open when that is in memory.
  const os::Fd& upper() const { return upper_; }

 private:
  /// A process that keeps a mount namespace; it goes with this.
  class Keeper;
  struct Deleter {
    void operator()(Keeper* keeper) const;
  };
  ContainerFiles() = default;
  os::Fd root_, image_, upper_, alive_;
  std::unique_ptr<Keeper, Deleter> keeper_;
};

/// A copy of what is mounted at `path` in a running container, attached nowhere. `in_user_namespace`: the container
/// is in one of its own. Errors: unavailable (it has ended), those of the kernel.
Result<os::Fd> copy_mount_of(const Status& status, const std::string& path, bool in_user_namespace);

/// Runs `body` where ids are those that the container has: for root here, for a plain user in a child in
/// its user namespace, or in one with the same ids. What `body` changes of memory may be lost, what it
/// prints must be finished by it. Errors: those of `body`, not_found (no such ids here).
Result<void> with_ids_of(const MachineHost& host, const Record& record, const std::function<Result<void>()>& body);

}  // namespace kist::containers

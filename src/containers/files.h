// The files of a container, seen from outside, whether it runs or not: for cp, diff, export, commit.
//
//   const ContainerFiles files = TRY(ContainerFiles::open(host, record, {.mounts = true}));
//   const os::Fd etc = TRY(os::open_in_root(files.root(), "/etc", O_PATH));
//
// All paths in it are hostile: resolve them by os::open_in_root. Threads: open() forks; the object is for one.
#pragma once

#include <sys/types.h>

#include <memory>
#include <utility>

#include "containers/machine.h"

namespace kist::containers {

struct FilesWanted {
  bool mounts = false;  // With what is mounted in it: volumes, folders of the host.
  bool image = false;   // Also the image alone, to compare with.
};

class ContainerFiles {
 public:
  /// One that does not run cannot be started while this lives.
  /// Errors: unavailable (it is being started), those of mounting.
  static Result<ContainerFiles> open(const MachineHost& host, const Record& record, const FilesWanted& wanted);
  ContainerFiles(ContainerFiles&&) noexcept = default;
  ContainerFiles& operator=(ContainerFiles&&) noexcept = default;

  const os::Fd& root() const { return root_; }
  const os::Fd& image() const { return image_; }
  /// What it wrote, as overlayfs keeps it; not open when that is in memory.
  const os::Fd& upper() const { return upper_; }
  /// Who owns a file, as the container sees it: a plain user's are all the one that the command is.
  std::pair<uid_t, gid_t> owner(uid_t uid, gid_t gid) const;

 private:
  /// A process that keeps a mount namespace; it goes with this.
  class Keeper;
  struct Deleter {
    void operator()(Keeper* keeper) const;
  };
  ContainerFiles() = default;
  os::Fd root_, image_, upper_, alive_;
  std::unique_ptr<Keeper, Deleter> keeper_;
  bool is_root_ = true;
  std::pair<uid_t, gid_t> host_ids_, inside_ids_;
};

}  // namespace kist::containers

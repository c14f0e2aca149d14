// Volumes: folders that outlive containers. docs/formats/volume.md.
//
//   $KIST_HOME/volumes/
//     lock              flock: shared by who is about to use volumes, exclusive by who removes some
//     <name>/record     what it was asked to be (JSON); written last: without it there is no volume
//     <name>/data       what is in it
//     <name>/filled     an image's content on its way into data
//     <name>/lock       flock: exclusive by who fills it, or mounts it
//
// Threads: one; any number of processes share a store. Durability: none is promised.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "containers/copy_tree.h"
#include "containers/place.h"
#include "os/files.h"

namespace kist::containers {

struct Volume {
  std::string name;
  std::string driver = "local";  // Or "tmpfs": memory, while a container uses it.
  std::map<std::string, std::string> options;  // As docker's: type, o, device.
  std::map<std::string, std::string> labels;
  int64_t created_ns = 0;  // Since 1970, UTC.
  bool anonymous = false;  // Goes with the container that it was made for.
  bool operator==(const Volume&) const = default;

  bool is_memory() const;
  /// The folder of the host that it stands for; empty: one of its own.
  std::string bound_folder() const;
};

/// The volumes of one store.
class Volumes {
 public:
  /// `memory`: where a plain user's volumes in memory are (memory_folder.h).
  explicit Volumes(const std::string& kist_home, std::string memory = {});

  /// From before a volume is looked up until the container that uses it is written down: shared.
  Result<os::FileLock> hold(os::FileLock::Mode mode) const;

  /// The one of that name if there is one already. Gives an empty name 64 random digits.
  /// Errors: invalid (name, driver, options), exists (one of this name has another driver or other
  /// options), unsupported (what only root can enforce).
  Result<Volume> create(Volume volume) const;
  /// Errors: not_found, corrupt.
  Result<Volume> find(std::string_view name) const;
  bool exists(std::string_view name) const;
  /// In the order of their names.
  Result<std::vector<Volume>> list() const;
  /// Whether it is used is the caller's to know, who holds the lock.
  Result<void> remove(const Volume& volume) const;

  /// Where its content is on the host.
  std::string data_path(const Volume& volume) const;
  /// The same, made or mounted if it has to be, by who starts a container with it.
  /// Errors: not_found (the folder that it is bound to), denied, unavailable.
  Result<std::string> open(std::string_view name) const;
  /// Lets go of the memory of one that nobody uses any more.
  void close(std::string_view name) const;

  /// Copies what `folder` has into a volume that is empty, all or nothing as far as anyone can see: a
  /// death in the middle leaves it empty, or to be completed by the next open().
  /// Errors: those of copy_contents().
  Result<void> fill(std::string_view name, const os::Fd& folder, const CopyOptions& options) const;

 private:
  std::string folder_of(std::string_view name) const;
  Result<void> complete(const Volume& volume) const;
  Result<void> mount_memory(const Volume& volume) const;
  std::string folder_;
  std::string memory_;
  bool is_root_;  // Outside: in a user namespace of one's own everybody is.
};

/// As docker: letters, digits, and _ . - after the first.
Result<void> check_volume_name(std::string_view name);

/// Ids of containers, running or not, with this volume; `alive`: only those that run.
Result<std::vector<std::string>> users_of(const Place& place, std::string_view volume, bool alive = false);

/// Removes a container that does not run, and the volumes without a name that it alone had, if
/// `with_volumes`. What cannot be removed of these stays for prune.
Result<void> discard(const Place& place, const Volumes& volumes, const Record& record, bool with_volumes);

}  // namespace kist::containers

// Mark and sweep, with everybody who writes locked out. What is dropped goes from the top down
// (names, roots, trees, objects), so that a death in the middle leaves nothing that refers to
// something gone; a sync in between makes this hold for a power cut too.

#include "store/gc.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <unordered_map>

#include "base/text.h"
#include "store/inventory.h"
#include "store/root_state.h"
#include "store/staging.h"

namespace kist::store {
namespace {

// Not time(2): that is the clock at the kernel's last tick, and a file that was just written may be stamped
// later than that, so that it had an age of -1 s (Linux 6.13 and later have such fine stamps).
int64_t now_s() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec;
}

class Collector {
 public:
  Collector(const Store& store, const GcOptions& options) : store_(store), options_(options) {}

  Result<GcReport> run() {
    const os::FileLock lock = TRY(lock_out_writers());
    if (!options_.is_dry_run) TRY(clean_staging());
    TRY(choose_names());
    TRY(choose_roots());
    TRY(mark());
    TRY(drop_names());
    TRY(drop_roots());
    if (!options_.is_dry_run) TRY(sync());
    TRY(sweep_trees());
    TRY(sweep_objects());
    if (!options_.is_dry_run) TRY(clean_leftovers());
    if (!options_.is_dry_run) TRY(clean_cache());
    return std::move(report_);
  }

 private:
  Result<os::FileLock> lock_out_writers() const {
    const std::string path = os::join(store_.home(), kLockFile);
    auto lock = TRY(os::FileLock::try_acquire(path, os::FileLock::Mode::exclusive));
    if (lock) return std::move(*lock);
    if (options_.on_wait) TRY(options_.on_wait(describe_writers(store_.home())));
    return os::FileLock::acquire(path, os::FileLock::Mode::exclusive);
  }

  Result<void> sync() const {
    const os::Fd home = TRY(os::open_file(store_.home(), O_RDONLY | O_DIRECTORY));
    if (::syncfs(home.get()) != 0)
      return Error::from_errno(errno, "syncfs '{}'", printable(store_.home()));
    return {};
  }

  // Nobody writes now, so every folder in there is of a process that is dead. Its objects are made
  // durable, or checked if it died before the kernel did, before the witness goes.
  Result<void> clean_staging() {
    TRY(recover(store_.home()));
    const std::string staging = os::join(store_.home(), kStagingFolder);
    const std::vector<std::string> names = TRY(os::list_folder(staging));
    if (names.empty()) return {};
    TRY(sync());
    for (const std::string& name : names) {
      const std::string path = os::join(staging, name);
      report_.freed_bytes += own_disk_bytes(path, [](uint64_t) {});
      TRY(os::remove_tree(path));
    }
    return {};
  }

  Result<void> choose_names() {
    const std::vector<Pin> pins = TRY(list_pins(store_));
    for (const Pin& pin : pins) needed_trees_.insert(pin.tree);
    pinned_trees_ = needed_trees_;
    const std::vector<NameRecord> names = TRY(list_name_records(store_));
    const int64_t now = now_s();
    for (const NameRecord& record : names) {
      const bool is_recent = now - record.used_s < options_.keep_unused_s;
      const bool is_kept =
          record.tree && (is_recent || pinned_trees_.contains(*record.tree)) && has(*record.tree);
      if (is_kept) {
        needed_trees_.insert(*record.tree);
      } else {
        report_.names.push_back(record.name);
      }
    }
    return {};
  }

  bool has(const oci::Digest& tree) const {
    return os::exists(fmt::format("{}/{}/{}", store_.home(), kTreesFolder, tree_name(tree)));
  }

  // Keeps the locks of the leases it can take until the roots are gone, so that no program starts
  // in one of them. Who waits for such a lock finds another folder there, or none, and begins anew.
  Result<void> choose_roots() {
    const std::vector<RootRecord> roots = TRY(list_roots(store_));
    DigestSet bases;
    for (const RootRecord& root : roots) {
      const bool is_needed = needed_trees_.contains(root.tree) && is_root_usable(root.folder);
      auto lease = TRY(os::FileLock::try_acquire(lease_of(root), os::FileLock::Mode::exclusive),
                       "looking at the lease of '{}'", printable(root.folder));
      const bool is_in_use = !lease.has_value();
      if (is_in_use && !is_needed) ++report_.roots_in_use;
      if (!is_in_use && !is_needed) {
        dropped_roots_.push_back({root, std::move(*lease)});
        continue;
      }
      used_trees_.insert(root.tree);
      if (root.base) bases.insert(*root.base);
    }
    keep_bases(bases);
    return {};
  }

  // A farm of differences is nothing without the one below it.
  void keep_bases(const DigestSet& bases) {
    std::erase_if(dropped_roots_, [&](const DroppedRoot& dropped) {
      if (dropped.root.variant != Variant::links || !bases.contains(dropped.root.tree))
        return false;
      used_trees_.insert(dropped.root.tree);
      return true;
    });
  }

  static std::string lease_of(const RootRecord& root) {
    Root shape;
    shape.folder = root.folder;
    return lease_path(shape);
  }

  Result<void> mark() {
    for (const DigestSet* set : {&needed_trees_, &used_trees_}) {
      for (const oci::Digest& digest : *set) {
        const Result<Tree> tree = store_.tree(digest);
        if (!tree) {
          // A pin may be older than a store that was thrown away; damage is another matter.
          if (tree.error().code() == Code::not_found) continue;
          return Error(tree.error()).context("finding what is needed");
        }
        live_trees_.insert(digest);
        for (const Entry& entry : tree->entries())
          if (entry.object) live_objects_.emplace(*entry.object, entry.mode);
      }
    }
    return {};
  }

  Result<void> drop_names() {
    if (options_.is_dry_run) return {};
    for (const std::string& name : report_.names) TRY(store_.remove_name(name));
    return {};
  }

  Result<void> drop_roots() {
    for (const DroppedRoot& dropped : dropped_roots_) {
      ++report_.roots;
      report_.freed_bytes += own_disk_bytes(dropped.root.folder, [this](uint64_t inode) {
        if (options_.is_dry_run) ++links_of_dropped_[inode];
      });
      if (options_.is_dry_run) continue;
      // Out of sight in one step: half a root must never be found under a root's name.
      const std::string away =
          fmt::format("{}/{}/.gc.{}", store_.home(), kStagingFolder, report_.roots);
      if (::rename(dropped.root.folder.c_str(), away.c_str()) != 0)
        return Error::from_errno(errno, "remove the root '{}'", printable(dropped.root.folder));
      TRY(os::remove_tree(away));
    }
    return {};
  }

  Result<void> sweep_trees() {
    return each_file(store_, kTreesFolder,
                     [this](const os::Fd& shard, const std::string& name,
                            std::string_view shard_name) -> Result<void> {
                       const auto tree = parse_object_name(shard_name, name);
                       if (!tree && !name.starts_with('.')) return {};
                       if (tree && live_trees_.contains(tree->digest)) return {};
                       if (tree) ++report_.trees;
                       return remove(shard, name);
                     });
  }

  Result<void> sweep_objects() {
    return each_file(store_, kObjectsFolder,
                     [this](const os::Fd& shard, const std::string& name,
                            std::string_view shard_name) -> Result<void> {
                       const auto object = parse_object_name(shard_name, name);
                       // With a dot first: half-written, by a process that died. Else: not ours.
                       if (!object)
                         return name.starts_with('.') ? remove(shard, name) : Result<void>();
                       const bool is_live =
                           live_objects_.contains(ObjectKey(object->digest, object->mode));
                       if (is_live && !(object->is_spare && is_last_link(shard, name))) return {};
                       if (!object->is_spare) ++report_.objects;
                       return remove(shard, name);
                     });
  }

  bool is_last_link(const os::Fd& shard, const std::string& name) const {
    const auto file = look_at(shard, name);
    return file && links_elsewhere(*file) == 0;
  }

  uint64_t links_elsewhere(const DiskFile& file) const {
    const auto dropped = links_of_dropped_.find(file.inode);
    const uint64_t gone = dropped == links_of_dropped_.end() ? 0 : dropped->second;
    return file.links - std::min(file.links, gone + 1);
  }

  Result<void> remove(const os::Fd& shard, const std::string& name) {
    const auto file = look_at(shard, name);
    if (file && links_elsewhere(*file) == 0) report_.freed_bytes += file->disk_bytes;
    if (options_.is_dry_run) return {};
    if (::unlinkat(shard.get(), name.c_str(), 0) != 0 && errno != ENOENT)
      return Error::from_errno(errno, "remove '{}'", printable(name));
    return {};
  }

  // What dead processes left in their scratch folders: they used them under a transaction, and there
  // is none. Parts of downloads stay for as long as what is unused, since they can be continued.
  Result<void> clean_cache() {
    const std::string cache = os::join(store_.home(), kCacheFolder);
    for (const char* folder : {"build", "configure", "probe", "resolve", "partial"}) {
      const std::string parent = os::join(cache, folder);
      if (!os::exists(parent)) continue;
      const std::vector<std::string> names = TRY(os::list_folder(parent));
      for (const std::string& name : names) {
        const std::string path = os::join(parent, name);
        const bool is_part = folder == std::string_view("partial") && !name.starts_with("claims.");
        const auto stamp = os::stamp(path);
        if (is_part && stamp && now_s() - stamp->mtime_ns / 1'000'000'000 < options_.keep_unused_s)
          continue;
        report_.freed_bytes += own_disk_bytes(path, [](uint64_t) {});
        TRY(os::remove_tree(path));
      }
    }
    return {};
  }

  // Lock files of roots, and bad objects that were put aside long ago.
  Result<void> clean_leftovers() {
    for (const Variant variant : {Variant::erofs, Variant::links}) {
      const std::string parent =
          fmt::format("{}/{}/{}", store_.home(), kRootsFolder, variant_name(variant));
      if (!os::exists(parent)) continue;
      const std::vector<std::string> names = TRY(os::list_folder(parent));
      for (const std::string& name : names)
        if (name.starts_with(".lock.")) TRY(os::remove_tree(os::join(parent, name)));
    }
    const std::string quarantine = os::join(store_.home(), kQuarantineFolder);
    const std::vector<std::string> names = TRY(os::list_folder(quarantine));
    for (const std::string& name : names) {
      const std::string path = os::join(quarantine, name);
      const auto stamp = os::stamp(path);
      if (!stamp) continue;
      if (now_s() - stamp->ctime_ns / 1'000'000'000 < options_.keep_unused_s) continue;
      report_.freed_bytes += own_disk_bytes(path, [](uint64_t) {});
      TRY(os::remove_tree(path));
    }
    return {};
  }

  struct DroppedRoot {
    RootRecord root;
    os::FileLock lease;
  };

  const Store& store_;
  const GcOptions& options_;
  GcReport report_;
  DigestSet pinned_trees_;
  DigestSet needed_trees_;  // By names and pins.
  DigestSet used_trees_;    // By roots that stay.
  DigestSet live_trees_;
  ObjectSet live_objects_;
  std::vector<DroppedRoot> dropped_roots_;
  std::unordered_map<uint64_t, uint64_t> links_of_dropped_;  // Dry run: by inode.
};

}  // namespace

Result<GcReport> collect_garbage(const Store& store, const GcOptions& options) {
  if (::access(store.home().c_str(), W_OK) != 0) {
    return Error(Code::denied, "store '{}' cannot be written", printable(store.home()));
  }
  return Collector(store, options).run();
}

}  // namespace kist::store

#include "store/fsck.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "store/hash_file.h"
#include "store/inventory.h"

namespace kist::store {
namespace {

constexpr std::string_view kPhase = "checking";

struct Need {
  uint64_t size_bytes;
  bool is_bad = false;
};
using Needs = std::unordered_map<ObjectKey, Need, ObjectKeyHash>;

Result<HashedFile> hash_of(const std::string& path) {
  const os::Fd fd = TRY(os::open_file(path, O_RDONLY | O_NOFOLLOW));
  return TRY(hash_file(fd), "reading '{}'", printable(path));
}

std::vector<std::string>& owners_of(Damage& damage, Pin::Owner owner) {
  switch (owner) {
    case Pin::Owner::environment: break;
    case Pin::Owner::image: return damage.images;
    case Pin::Owner::container: return damage.containers;
  }
  return damage.environments;
}

class Checker {
 public:
  Checker(const Store& store, const FsckOptions& options, os::Workers& workers, Progress& progress)
      : store_(store), options_(options), workers_(workers), progress_(progress) {}

  Result<FsckReport> run() {
    {
      const os::FileLock lock = TRY(
          os::FileLock::acquire(os::join(store_.home(), kLockFile), os::FileLock::Mode::shared));
      TRY(read_names());
      TRY(check_trees());
      TRY(check_objects());
      check_names();
      tell_who_is_hit();
      if (options_.is_repair) TRY(repair());
    }
    // Without the lock, since it will begin a transaction of its own.
    if (options_.is_repair && options_.refetch && !report_.removed_names.empty()) refetch();
    sort_report();
    return std::move(report_);
  }

 private:
  Result<void> read_names() {
    names_ = TRY(list_name_records(store_));
    pins_ = TRY(list_pins(store_));
    return {};
  }

  // Every tree in the store, needed or not: it costs little, and gc refuses to work with a bad one.
  Result<void> check_trees() {
    return each_file(
        store_, kTreesFolder,
        [this](const os::Fd&, const std::string& name, std::string_view shard) -> Result<void> {
          const auto parsed = parse_object_name(shard, name);
          if (!parsed) return {};
          ++report_.trees;
          const Result<Tree> tree = store_.tree(parsed->digest);
          const std::string path = fmt::format("{}/{}/{}", kTreesFolder, shard, name);
          if (!tree) {
            bad_trees_.emplace(parsed->digest, path);
            add(Damage::What::tree, path, tree.error().frames().front());
            return {};
          }
          good_trees_.insert(parsed->digest);
          for (const Entry& entry : tree->entries()) {
            if (entry.object)
              needs_.try_emplace(ObjectKey(*entry.object, entry.mode),
                                 Need{.size_bytes = entry.size_bytes});
          }
          return {};
        });
  }

  Result<void> check_objects() {
    std::vector<Needs::value_type*> all;
    for (auto& need : needs_) all.push_back(&need);
    progress_.begin(kPhase, all.size(), 0);
    TRY(workers_.for_each(all.size(), [&](size_t i) -> Result<void> {
      check_object(all[i]->first, all[i]->second);
      return {};
    }));
    if (options_.level == FsckLevel::full) TRY(check_unneeded());
    progress_.end(kPhase, fmt::format("checked {} objects, {} damaged", report_.objects,
                                      report_.damages.size()));
    return {};
  }

  void check_object(const ObjectKey& key, Need& need) {
    const std::string path =
        fmt::format("{}/{}", kObjectsFolder, object_name(key.digest, key.mode));
    const auto [reason, hashed] = judge(path, key.digest, need.size_bytes);
    progress_.advance(kPhase, 1, hashed);
    const std::lock_guard guard(mutex_);
    ++report_.objects;
    report_.hashed_bytes += hashed;
    if (reason.empty()) return;
    need.is_bad = true;
    bad_objects_.emplace(key, path);
    add(Damage::What::object, path, reason);
  }

  // Why the file is not what it should be; empty when it is.
  std::pair<std::string, uint64_t> judge(const std::string& path, const oci::Digest& wanted,
                                         uint64_t size_bytes) const {
    struct stat st = {};
    const std::string full = os::join(store_.home(), path);
    if (::lstat(full.c_str(), &st) != 0) return {"missing", 0};
    if (!S_ISREG(st.st_mode)) return {"not a file", 0};
    if (static_cast<uint64_t>(st.st_size) != size_bytes)
      return {fmt::format("{} bytes, want {}", st.st_size, size_bytes), 0};
    if (options_.level == FsckLevel::quick) return {"", 0};
    const auto got = hash_of(full);
    if (!got) return {got.error().frames().front(), 0};
    if (got->digest == wanted) return {"", got->size_bytes};
    return {fmt::format("has the content of {}", got->digest.string()), got->size_bytes};
  }

  // Objects that no tree needs, and further inodes: believed by the next writer, so just as bad.
  Result<void> check_unneeded() {
    return each_file(store_, kObjectsFolder,
                     [this](const os::Fd& shard, const std::string& name,
                            std::string_view shard_name) -> Result<void> {
                       const auto object = parse_object_name(shard_name, name);
                       if (!object) return {};
                       const ObjectKey key(object->digest, object->mode);
                       if (needs_.contains(key) && !object->is_spare) return {};
                       const auto file = look_at(shard, name);
                       if (!file) return {};
                       const std::string path =
                           fmt::format("{}/{}/{}", kObjectsFolder, shard_name, name);
                       const auto [reason, hashed] = judge(path, object->digest, file->size_bytes);
                       ++report_.objects;
                       report_.hashed_bytes += hashed;
                       if (reason.empty()) return {};
                       bad_objects_.emplace(key, path);
                       add(Damage::What::object, path, reason);
                       return {};
                     });
  }

  void check_names() {
    for (const NameRecord& record : names_) {
      const std::string path = fmt::format("{}/{}", kNamesFolder, record.name);
      if (!record.tree) {
        add(Damage::What::name, path, "does not hold a digest");
      } else if (!good_trees_.contains(*record.tree) && !bad_trees_.contains(*record.tree)) {
        add(Damage::What::name, path, fmt::format("its tree {} is missing", record.tree->string()));
      } else {
        continue;
      }
      report_.damages.back().names = {record.name};
      hit_names_.insert(record.name);
    }
  }

  // From damaged objects up to the names and environments that need them. Trees are read again, but
  // only when there is damage at all.
  void tell_who_is_hit() {
    if (report_.damages.empty()) return;
    std::map<std::string, std::set<oci::Digest>> trees_of;  // By path of the damage.
    for (const auto& [digest, path] : bad_trees_) {
      trees_of[path].insert(digest);
      hit_trees_.insert(digest);
    }
    for (const oci::Digest& digest : good_trees_) {
      const Result<Tree> tree = store_.tree(digest);
      if (!tree) continue;
      for (const Entry& entry : tree->entries()) {
        if (!entry.object) continue;
        const auto range = bad_objects_.equal_range(ObjectKey(*entry.object, entry.mode));
        for (auto at = range.first; at != range.second; ++at) {
          trees_of[at->second].insert(digest);
          hit_trees_.insert(digest);
        }
      }
    }
    for (Damage& damage : report_.damages) {
      const std::set<oci::Digest>& trees = trees_of[damage.path];
      for (const NameRecord& record : names_) {
        if (!record.tree || !trees.contains(*record.tree)) continue;
        damage.names.push_back(record.name);
        hit_names_.insert(record.name);
      }
      for (const Pin& pin : pins_)
        if (trees.contains(pin.tree)) owners_of(damage, pin.owner).push_back(pin.name);
      for (auto* list :
           {&damage.names, &damage.environments, &damage.images, &damage.containers}) {
        std::sort(list->begin(), list->end());
        list->erase(std::unique(list->begin(), list->end()), list->end());
      }
    }
  }

  // Names first: nobody may find a tree that is not whole.
  Result<void> repair() {
    for (const std::string& name : hit_names_) {
      TRY(store_.remove_name(name));
      report_.removed_names.push_back(name);
    }
    TRY(remove_roots());
    for (Damage& damage : report_.damages) {
      if (damage.what != Damage::What::name) TRY(put_aside(damage));
      damage.is_repaired = is_repaired(damage);
    }
    return {};
  }

  Result<void> remove_roots() {
    const std::vector<RootRecord> roots = TRY(list_roots(store_));
    for (const RootRecord& root : roots) {
      const bool is_hit =
          hit_trees_.contains(root.tree) || (root.base && hit_trees_.contains(*root.base));
      // Roots are not looked into: they cost little to make again, so a full repair trusts none.
      if (!is_hit && options_.level != FsckLevel::full) continue;
      const auto lease = TRY(
          os::FileLock::try_acquire(os::join(root.folder, "lease"), os::FileLock::Mode::exclusive));
      if (!lease) {
        if (is_hit) ++report_.damaged_roots_in_use;
        continue;
      }
      TRY(move_to_quarantine(root.folder, os::name_of(root.folder)));
      ++report_.removed_roots;
    }
    return {};
  }

  Result<void> put_aside(const Damage& damage) {
    const std::string path = os::join(store_.home(), damage.path);
    if (!os::exists(path)) return {};
    std::string name = damage.path;
    std::replace(name.begin(), name.end(), '/', '-');
    return move_to_quarantine(path, name);
  }

  Result<void> move_to_quarantine(const std::string& path, std::string_view name) {
    for (int number = 0;; ++number) {
      const std::string to =
          fmt::format("{}/{}/{}.{}", store_.home(), kQuarantineFolder, name, number);
      if (os::exists(to)) continue;
      if (::rename(path.c_str(), to.c_str()) == 0 || errno == ENOENT) return {};
      return Error::from_errno(errno, "move '{}' to the quarantine", printable(path));
    }
  }

  // What no environment needs is repaired by being gone.
  static bool is_repaired(const Damage& damage) {
    return damage.what == Damage::What::name || damage.environments.empty();
  }

  void refetch() {
    const Result<void> fetched = options_.refetch(report_.removed_names);
    if (!fetched) {
      report_.refetch_error = fetched.error().render();
      return;
    }
    for (Damage& damage : report_.damages)
      if (!damage.is_repaired) damage.is_repaired = is_good_again(damage);
  }

  bool is_good_again(const Damage& damage) const {
    const std::vector<std::string_view> parts = split(damage.path, '/');
    if (parts.size() != 3) return false;
    const auto parsed = parse_object_name(parts[1], parts[2]);
    if (!parsed) return false;
    if (damage.what == Damage::What::tree) return store_.tree(parsed->digest).has_value();
    const auto got = hash_of(os::join(store_.home(), damage.path));
    return got && got->digest == parsed->digest;
  }

  void add(Damage::What what, std::string path, std::string reason) {
    report_.damages.push_back({.what = what,
                               .path = std::move(path),
                               .reason = std::move(reason),
                               .names = {},
                               .environments = {}});
  }

  void sort_report() {
    std::sort(report_.damages.begin(), report_.damages.end(),
              [](const Damage& a, const Damage& b) { return a.path < b.path; });
  }

  const Store& store_;
  const FsckOptions& options_;
  os::Workers& workers_;
  Progress& progress_;
  std::mutex mutex_;  // Guards what the threads of check_objects() add to.
  FsckReport report_;
  std::vector<NameRecord> names_;
  std::vector<Pin> pins_;
  Needs needs_;
  DigestSet good_trees_;
  std::unordered_map<oci::Digest, std::string, DigestHash> bad_trees_;
  // One object may have several inodes, and so several damages.
  std::unordered_multimap<ObjectKey, std::string, ObjectKeyHash> bad_objects_;
  DigestSet hit_trees_;
  std::set<std::string> hit_names_;
};

}  // namespace

bool FsckReport::is_clean() const {
  return std::all_of(damages.begin(), damages.end(),
                     [](const Damage& damage) { return damage.is_repaired; }) &&
         refetch_error.empty() && damaged_roots_in_use == 0;
}

Result<FsckReport> check_store(const Store& store, const FsckOptions& options, os::Workers& workers,
                               Progress& progress) {
  if (options.is_repair && ::access(store.home().c_str(), W_OK) != 0)
    return Error(Code::denied, "store '{}' cannot be written", printable(store.home()));
  return Checker(store, options, workers, progress).run();
}

}  // namespace kist::store

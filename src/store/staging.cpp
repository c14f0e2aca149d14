// After a power cut, an object that was written but never synced can have its right name and length
// and nothing but zeros inside. No name leads to it, since names are written after the sync; but
// the next writer of the same content would find it there and believe it. The staging folder of the
// transaction that died is the witness: it was made before the objects, and is removed only after
// they were synced. (Both are metadata, which journaling file systems replay in order.)
//
// While the kernel runs on, as after kill -9, the page cache holds what was written, and the
// objects are good. Their staging folder still must not go before the next sync, or a power cut
// after that would find no witness.

#include "store/staging.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "store/hash_file.h"
#include "store/layout.h"

namespace kist::store {
namespace {

constexpr std::string_view kOwnFile = "own";
// Two clocks that do not quite agree, or one that is stepped by a little.
constexpr int64_t kClockSlack_s = 600;

std::string staging_folder(const std::string& home) { return os::join(home, kStagingFolder); }

struct Owner {
  std::string boot;
  uint64_t pid = 0;
};

// An empty or torn file gives an empty Owner, which belongs to no run of the kernel we know.
Owner read_owner(const std::string& folder) {
  Owner owner;
  const auto text = os::read_file(os::join(folder, kOwnFile), 4096);
  if (!text) return owner;
  for (const std::string_view line : lines(*text)) {
    if (line.starts_with("boot ")) owner.boot = line.substr(5);
    if (line.starts_with("pid ")) owner.pid = parse_number(line.substr(4)).value_or(0);
  }
  return owner;
}

// Names that begin with a dot are being made and have no lock yet.
std::vector<std::string> staging_folders(const std::string& home) {
  std::vector<std::string> found;
  const std::string parent = staging_folder(home);
  auto names = os::list_folder(parent);
  if (!names) return found;
  for (const std::string& name : *names)
    if (!name.starts_with('.')) found.push_back(os::join(parent, name));
  return found;
}

bool is_this_boot(const Owner& owner, const std::string& boot) {
  return !boot.empty() && owner.boot == boot;
}

// Takes the lock of a dead folder; empty when its process lives.
std::optional<os::FileLock> take_dead(const std::string& folder) {
  if (!os::exists(os::join(folder, kOwnFile))) return std::nullopt;
  auto lock = os::FileLock::try_acquire(os::join(folder, kOwnFile), os::FileLock::Mode::exclusive);
  return lock ? std::move(*lock) : std::nullopt;
}

void remove_children(const std::string& folder) {
  auto names = os::list_folder(folder);
  if (!names) return;
  for (const std::string& name : *names)
    if (name != kOwnFile) (void)os::remove_tree(os::join(folder, name)).has_value();
}

// False when it cannot be read, too.
bool has_content(const os::Fd& folder, const std::string& name, const oci::Digest& wanted) {
  const auto fd = os::open_at(folder, name, O_RDONLY | O_NOFOLLOW);
  if (!fd) return false;
  const auto got = hash_file(*fd);
  return got && got->digest == wanted;
}

// Drops what was changed since `since_s` and is not what its name says.
Result<void> verify_shard(const std::string& path, std::string_view shard, int64_t since_s) {
  const os::Fd folder = TRY(os::open_file(path, O_RDONLY | O_DIRECTORY));
  const std::vector<std::string> names = TRY(os::list_folder(path));
  for (const std::string& name : names) {
    struct stat st = {};
    if (::fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    // A time in the future says that the clock was set; nothing can then be told from it.
    const bool is_old = st.st_ctim.tv_sec < since_s && since_s <= ::time(nullptr);
    if (is_old) continue;
    const auto wanted = parse_object_name(shard, name);
    if (!wanted) continue;  // A temporary file: of a live writer, or of a dead one for gc.
    if (has_content(folder, name, wanted->digest)) continue;
    if (::unlinkat(folder.get(), name.c_str(), 0) != 0 && errno != ENOENT)
      return Error::from_errno(errno, "remove the damaged object '{}/{}'", shard, printable(name));
  }
  return {};
}

Result<void> verify_since(const std::string& home, int64_t since_s) {
  for (const std::string_view kind : {kObjectsFolder, kTreesFolder}) {
    for (int i = 0; i < 256; ++i) {
      const std::string shard = fmt::format("{:02x}", i);
      TRY(verify_shard(fmt::format("{}/{}/{}", home, kind, shard), shard, since_s));
    }
  }
  return {};
}

int64_t began_s(const std::string& folder) {
  const auto own = os::stamp(os::join(folder, kOwnFile));
  return own ? own->ctime_ns / 1'000'000'000 - kClockSlack_s : 0;
}

std::vector<std::string> of_earlier_boots(const std::string& home) {
  std::vector<std::string> found = staging_folders(home);
  if (found.empty()) return found;
  const std::string boot = boot_id();
  std::erase_if(found, [&](const std::string& f) { return is_this_boot(read_owner(f), boot); });
  return found;
}

}  // namespace

Result<Staging> Staging::make(const std::string& home) {
  const std::string parent = staging_folder(home);
  // Made and locked under a name that nobody takes for a dead one, then renamed: the lock stays.
  os::TempDir making = TRY(os::TempDir::make(parent, fmt::format(".{}.", ::getpid())));
  const std::string own = os::join(making.path(), kOwnFile);
  TRY(os::write_file_atomically(own, fmt::format("boot {}\npid {}\n", boot_id(), ::getpid())));
  os::FileLock lock = TRY(os::FileLock::acquire(own, os::FileLock::Mode::exclusive));
  std::string path = os::join(parent, os::name_of(making.path()).substr(1));
  if (::rename(making.path().c_str(), path.c_str()) != 0)
    return disk_error(errno, home, fmt::format("rename '{}'", printable(making.path())));
  (void)std::move(making).release();
  return Staging(std::move(path), std::move(lock));
}

void Staging::remove() && {
  // The lock goes with us: a folder without it would be dead to others, who would remove it too.
  const os::FileLock own = std::move(own_);
  (void)os::remove_tree(path_).has_value();
}

void Staging::abandon() && {
  const os::FileLock own = std::move(own_);
  remove_children(path_);
}

std::vector<std::string> find_dead(const std::string& home) {
  const std::string boot = boot_id();
  std::vector<std::string> dead;
  for (std::string& folder : staging_folders(home)) {
    if (is_this_boot(read_owner(folder), boot) && take_dead(folder)) dead.push_back(folder);
  }
  return dead;
}

void remove_dead(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders)
    if (const auto lock = take_dead(folder)) (void)os::remove_tree(folder).has_value();
}

Result<void> recover(const std::string& home) {
  if (of_earlier_boots(home).empty()) return {};
  // Others that begin now wait here until all is checked.
  const os::FileLock recovering =
      TRY(os::FileLock::acquire(os::join(home, kRecoveryLockFile), os::FileLock::Mode::exclusive));
  std::vector<std::string> dead;
  std::vector<os::FileLock> locks;
  int64_t since_s = INT64_MAX;
  for (const std::string& folder : of_earlier_boots(home)) {
    // Locked: a home shared over a network, and a process of another machine.
    auto lock = take_dead(folder);
    if (!lock && os::exists(os::join(folder, kOwnFile))) continue;
    if (lock) locks.push_back(std::move(*lock));
    since_s = std::min(since_s, began_s(folder));
    dead.push_back(folder);
  }
  if (dead.empty()) return {};
  TRY(verify_since(home, since_s), "checking what a power cut left in '{}'", printable(home));
  for (const std::string& folder : dead) TRY(os::remove_tree(folder));
  return {};
}

std::vector<std::string> describe_writers(const std::string& home) {
  std::vector<std::string> writers;
  for (const std::string& folder : staging_folders(home)) {
    if (take_dead(folder)) continue;
    const Owner owner = read_owner(folder);
    auto command = os::read_file(fmt::format("/proc/{}/cmdline", owner.pid), 1u << 20);
    std::string shown = command ? std::move(*command) : std::string();
    while (!shown.empty() && shown.back() == '\0') shown.pop_back();
    std::replace(shown.begin(), shown.end(), '\0', ' ');
    if (shown.empty()) shown = "unknown";
    writers.push_back(fmt::format("{} (pid {})", printable(shown, 80), owner.pid));
  }
  return writers;
}

}  // namespace kist::store

#include "store/root.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "base/text.h"
#include "store/erofs_writer.h"
#include "store/layout.h"
#include "store/link_farm.h"
#include "store/root_state.h"
#include "store/transaction_state.h"

namespace kist::store {
namespace {

constexpr std::string_view kImageFile = "image";
constexpr std::string_view kFarmFolder = "tree";
constexpr std::string_view kBaseLink = "base";
constexpr std::string_view kLeaseFile = "lease";
// A delta is worth it below this part of the tree; above, the second folder in each lookup is not.
constexpr size_t kMaxDeltaPercent = 25;
constexpr size_t kGoodDeltaPercent = 2;
// Each costs reading its tree, some 10 ms.
constexpr size_t kMaxBasesTried = 8;
constexpr int64_t kDay_s = 86'400;

std::string variant_folder(const std::string& home, Variant variant) {
  return fmt::format("{}/{}/{}", home, kRootsFolder, variant_name(variant));
}

std::string base_of(const std::string& folder) {
  const auto target = os::read_link(os::join(folder, kBaseLink));
  return target ? os::join(os::parent_of(folder), *target) : std::string();
}

std::optional<Root> look(const std::string& home, const std::string& folder, Variant variant) {
  if (!is_root_usable(folder)) return std::nullopt;
  Root root;
  root.folder = folder;
  root.objects = os::join(home, kObjectsFolder);
  if (variant == Variant::erofs) {
    root.erofs_image = os::join(folder, kImageFile);
    return root;
  }
  root.lowers.push_back(os::join(folder, kFarmFolder));
  const std::string base = base_of(folder);
  if (base.empty()) return root;
  if (!is_root_usable(base)) return std::nullopt;
  root.lowers.push_back(os::join(base, kFarmFolder));
  return root;
}

}  // namespace

// Makes one root; a friend of Transaction, in whose staging folder and for whose commit it works.
class RootMaker {
 public:
  RootMaker(const Store& store, Transaction& transaction, Variant variant)
      : store_(store),
        state_(*transaction.state_),
        variant_(variant),
        parent_(variant_folder(store.home(), variant)) {}

  Result<Root> make(const Tree& tree, const oci::Digest& digest) {
    const std::string folder = os::join(parent_, digest.hex());
    if (auto root = look(store_.home(), folder, variant_)) return use(std::move(*root));
    TRY(os::make_folders(parent_));
    // Twenty processes that want the same root: one makes it, the others find it.
    const os::FileLock lock = TRY(os::FileLock::acquire(os::join(parent_, ".lock." + digest.hex()),
                                                        os::FileLock::Mode::exclusive));
    if (auto root = look(store_.home(), folder, variant_)) return use(std::move(*root));
    TRY(remove_stale(folder));
    const std::string building = TRY(build(tree, digest));
    if (::rename(building.c_str(), folder.c_str()) != 0)
      return disk_error(errno, store_.home(), "naming a root");
    auto root = look(store_.home(), folder, variant_);
    if (!root) return Error(Code::internal, "the root '{}' is not there after it was made", folder);
    return use(std::move(*root));
  }

 private:
  // What is not yet durable becomes so with this transaction, whoever made it.
  Root use(Root root) {
    const std::string base = variant_ == Variant::links ? base_of(root.folder) : std::string();
    const std::lock_guard guard(state_.mutex);
    for (const std::string& folder : {base, root.folder}) {
      if (!folder.empty() && !is_root_durable(folder)) state_.roots.push_back(folder);
    }
    return root;
  }

  // Of a power cut, or with a base that is gone. Out of sight at once; removing takes time.
  Result<void> remove_stale(const std::string& folder) {
    const std::string away = os::join(state_.staging.path(), "stale." + unique());
    if (::rename(folder.c_str(), away.c_str()) != 0) {
      if (errno == ENOENT) return {};
      return Error::from_errno(errno, "remove the unfinished root '{}'", printable(folder));
    }
    return os::remove_tree(away);
  }

  Result<std::string> build(const Tree& tree, const oci::Digest& digest) {
    std::string folder = os::join(state_.staging.path(), "root." + unique());
    TRY(os::make_folders(folder));
    if (variant_ == Variant::erofs) {
      const os::Fd image =
          TRY(os::open_file(os::join(folder, kImageFile), O_WRONLY | O_CREAT | O_EXCL));
      TRY(explain(write_erofs(tree, digest, image)), "writing the image of a root");
    } else {
      TRY(build_links(tree, folder), "linking a root of {} entries", tree.entries().size());
    }
    TRY(os::write_file_atomically(os::join(folder, kLeaseFile), ""));
    TRY(mark_root_made(folder));
    return folder;
  }

  // write_erofs knows descriptors only; a full disk is told from here.
  Result<void> explain(Result<void> written) const {
    if (written || written.error().code() != Code::unavailable) return written;
    const auto free = os::free_bytes(store_.home());
    if (free && *free < (1u << 20)) return disk_error(ENOSPC, store_.home(), "write");
    return written;
  }

  Result<void> build_links(const Tree& tree, const std::string& folder) {
    const std::string farm = os::join(folder, kFarmFolder);
    TRY(os::make_folders(farm));
    const auto [base, delta] = choose_base(tree);
    if (base.empty()) return make_farm(tree, farm, state_.files);
    const std::string link = os::join(folder, kBaseLink);
    if (::symlink(base.c_str(), link.c_str()) != 0)
      return disk_error(errno, store_.home(), "link the base of a root");
    return make_delta_farm(delta, farm, state_.files);
  }

  // The farm that needs the fewest changes, of those used last. Only whole farms: a delta over a
  // delta would save little and make gc and lookups harder.
  std::pair<std::string, Delta> choose_base(const Tree& tree) const {
    std::pair<std::string, Delta> best;
    size_t best_cost = tree.entries().size() * kMaxDeltaPercent / 100;
    for (const std::string& name : recent_farms()) {
      const auto digest = oci::Digest::parse_hex(name);
      if (!digest) continue;
      const Result<Tree> base = store_.tree(*digest);
      if (!base) continue;
      const size_t here = tree.entries().size();
      const size_t there = base->entries().size();
      if (std::max(here, there) - std::min(here, there) > best_cost) continue;
      Delta delta = plan_delta(*base, tree);
      if (delta.cost() >= best_cost) continue;
      best_cost = delta.cost();
      best = {name, std::move(delta)};
      if (best_cost <= here * kGoodDeltaPercent / 100) break;
    }
    return best;
  }

  std::vector<std::string> recent_farms() const {
    std::vector<std::pair<int64_t, std::string>> farms;
    auto names = os::list_folder(parent_);
    if (!names) return {};
    for (const std::string& name : *names) {
      const std::string folder = os::join(parent_, name);
      if (name.starts_with('.') || !base_of(folder).empty() || !is_root_usable(folder)) continue;
      const auto used = os::stamp(os::join(folder, kLeaseFile));
      farms.emplace_back(used ? -used->mtime_ns : 0, name);
    }
    std::sort(farms.begin(), farms.end());
    std::vector<std::string> recent;
    for (const auto& farm : farms) recent.push_back(farm.second);
    recent.resize(std::min(recent.size(), kMaxBasesTried));
    return recent;
  }

  std::string unique() {
    const std::lock_guard guard(state_.mutex);
    return std::to_string(state_.next_root++);
  }

  const Store& store_;
  Transaction::State& state_;
  Variant variant_;
  std::string parent_;
};

std::string_view variant_name(Variant variant) {
  // A number, so that roots whose bytes an earlier version wrote otherwise are not found.
  return variant == Variant::erofs ? "erofs-2" : "links";
}

std::optional<Root> find_root(const Store& store, const oci::Digest& tree, Variant variant) {
  return look(store.home(), os::join(variant_folder(store.home(), variant), tree.hex()), variant);
}

Result<Root> make_root(const Store& store, Transaction& transaction, const Tree& tree,
                       const oci::Digest& digest, Variant variant) {
  return RootMaker(store, transaction, variant).make(tree, digest);
}

Result<std::optional<Lease>> Lease::hold(const Root& root) {
  const std::string path = os::join(root.folder, kLeaseFile);
  auto opened = os::open_file(path, O_RDONLY);
  if (!opened) {
    if (opened.error().code() == Code::not_found) return std::optional<Lease>();
    return std::move(opened).error();
  }
  os::Fd fd = std::move(*opened);
  while (::flock(fd.get(), LOCK_SH) != 0) {
    if (errno != EINTR) return Error::from_errno(errno, "lock '{}'", printable(path));
  }
  // gc may have held it and moved the root away while we waited.
  struct stat ours = {};
  struct stat named = {};
  if (::fstat(fd.get(), &ours) != 0 || ::stat(path.c_str(), &named) != 0 ||
      ours.st_ino != named.st_ino)
    return std::optional<Lease>();
  // Tells gc, and who looks for a base, that this root is in use; right to a day is enough.
  if (::time(nullptr) - ours.st_mtim.tv_sec > kDay_s) (void)::futimens(fd.get(), nullptr);
  return std::optional<Lease>(Lease(std::move(fd)));
}

std::string lease_path(const Root& root) { return os::join(root.folder, kLeaseFile); }

}  // namespace kist::store

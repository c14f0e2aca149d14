#include "containers/changes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace kist::containers {
namespace {

constexpr int kDeepest = 300;

// Made by the runtime where the image has none, to mount on.
bool is_mount_place(std::string_view path) {
  constexpr std::string_view kPlaces[] = {"/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"};
  return path.starts_with("/dev/") || std::find(std::begin(kPlaces), std::end(kPlaces), path) != std::end(kPlaces);
}

std::optional<struct stat> look(const os::Fd* folder, const std::string& name) {
  struct stat st = {};
  if (folder == nullptr || ::fstatat(folder->get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return st;
}

bool is_set(const os::Fd& folder, const char* name) {
  char value[2];
  return ::fgetxattr(folder.get(), name, value, sizeof value) > 0 || errno == ERANGE;
}

// A folder of which overlayfs says that what is below it in the image does not show as it is.
bool is_apart(const os::Fd& upper) {
  for (const char* name : {"trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque", "user.overlay.redirect"})
    if (is_set(upper, name)) return true;
  return false;
}

bool differ(const struct stat& a, const struct stat& b) {
  return a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid || a.st_rdev != b.st_rdev ||
         (!S_ISDIR(a.st_mode) && (a.st_size != b.st_size || a.st_mtim.tv_sec != b.st_mtim.tv_sec ||
                                  a.st_mtim.tv_nsec != b.st_mtim.tv_nsec));
}

Result<os::Fd> enter(const os::Fd& folder, const std::string& name) {
  return os::open_at(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Result<std::vector<std::string>> names_in(const os::Fd* folder) {
  if (folder == nullptr) return std::vector<std::string>();
  return os::list_folder(fmt::format("/proc/self/fd/{}", folder->get()));
}

class Walker {
 public:
  // Null: there is no such folder there; `upper` null: no hint what to look at.
  Result<void> folder(const os::Fd* image, const os::Fd& root, const os::Fd* upper, const std::string& path, int depth);
  std::vector<Change> take() && { return std::move(out_); }

 private:
  Result<void> entry(const os::Fd* image, const os::Fd& root, const os::Fd* upper, const std::string& name,
                     const std::string& path, int depth);
  Result<void> both_folders(const os::Fd& image, const os::Fd& root, const os::Fd* upper, const std::string& name,
                            const std::string& path, int depth, bool changed);
  std::vector<Change> out_;
};

Result<void> Walker::folder(const os::Fd* image, const os::Fd& root, const os::Fd* upper, const std::string& path,
                            int depth) {
  if (depth > kDeepest) return Error(Code::invalid, "more than {} folders deep", kDeepest);
  std::vector<std::string> names = TRY(names_in(upper != nullptr ? upper : &root));
  if (upper == nullptr && image != nullptr) {
    const std::vector<std::string> before = TRY(names_in(image));
    names.insert(names.end(), before.begin(), before.end());
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
  }
  for (const std::string& name : names) TRY(entry(image, root, upper, name, path + "/" + name, depth));
  return {};
}

Result<void> Walker::entry(const os::Fd* image, const os::Fd& root, const os::Fd* upper, const std::string& name,
                           const std::string& path, int depth) {
  const auto before = look(image, name);
  const auto now = look(&root, name);
  if (!before && is_mount_place(path)) return {};
  if (!now) {
    if (before) out_.push_back({'D', path});
    return {};
  }
  if (before && S_ISDIR(before->st_mode) && S_ISDIR(now->st_mode))
    return both_folders(*image, root, upper, name, path, depth, differ(*before, *now));
  // What is in the upper folder was written, unless it is compared.
  if (before && upper == nullptr && !differ(*before, *now)) return {};
  out_.push_back({before ? 'C' : 'A', path});
  if (!S_ISDIR(now->st_mode)) return {};
  const os::Fd inside = TRY(enter(root, name));
  return folder(nullptr, inside, nullptr, path, depth + 1);
}

Result<void> Walker::both_folders(const os::Fd& image, const os::Fd& root, const os::Fd* upper, const std::string& name,
                                  const std::string& path, int depth, bool changed) {
  const os::Fd image_inside = TRY(enter(image, name));
  const os::Fd root_inside = TRY(enter(root, name));
  os::Fd upper_inside;
  if (upper != nullptr) {
    auto found = enter(*upper, name);
    if (found && !is_apart(*found)) upper_inside = std::move(*found);
  }
  const size_t at = out_.size();
  out_.push_back({'C', path});
  TRY(folder(&image_inside, root_inside, upper_inside.is_open() ? &upper_inside : nullptr, path, depth + 1));
  if (out_.size() == at + 1 && !changed) out_.pop_back();
  return {};
}

}  // namespace

Result<std::vector<Change>> find_changes(const os::Fd& image, const os::Fd& root, const os::Fd* upper) {
  // Descriptors of mounts are O_PATH; listing needs more.
  const os::Fd image_top = TRY(os::open_at(image, ".", O_RDONLY | O_DIRECTORY));
  const os::Fd root_top = TRY(os::open_at(root, ".", O_RDONLY | O_DIRECTORY));
  Walker walker;
  TRY(walker.folder(&image_top, root_top, upper, "", 0));
  return std::move(walker).take();
}

Result<std::vector<Change>> changes_of(const ContainerFiles& files) {
  return find_changes(files.image(), files.root(), files.upper().is_open() ? &files.upper() : nullptr);
}

}  // namespace kist::containers

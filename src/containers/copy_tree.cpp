#include "containers/copy_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "base/text.h"
#include "os/files.h"

namespace kist::containers {
namespace {

constexpr int kDeepest = 300;  // Three descriptors each, of the 1,024 that everybody has.

class Copier {
 public:
  Copier(const os::Fd& to, const CopyOptions& options) : top_(to), options_(options) {}

  Result<void> contents(const os::Fd& from, const os::Fd& to, const std::string& path, int depth);
  // `source` is an O_PATH descriptor: what is copied is what was looked at.
  Result<void> object(const os::Fd& source, const os::Fd& to, const std::string& name, const std::string& path, int depth);
  Result<void> dress(const os::Fd& file, const struct stat& st, const os::Fd* source);

 private:
  Result<void> folder(const os::Fd& source, const os::Fd& to, const std::string& name, const struct stat& st,
                      const std::string& path, int depth);
  Result<void> file(const os::Fd& source, const os::Fd& to, const std::string& name, const struct stat& st);
  Result<void> link(const os::Fd& source, const os::Fd& to, const std::string& name, const struct stat& st);
  Result<void> node(const os::Fd& to, const std::string& name, const struct stat& st);
  Result<void> make_way(const os::Fd& to, const std::string& name);
  Result<bool> link_again(const struct stat& st, const os::Fd& to, const std::string& name, const std::string& path);
  void copy_attributes(const os::Fd& source, const os::Fd& copy);

  const os::Fd& top_;
  const CopyOptions& options_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;
};

std::string below(const std::string& path, const std::string& name) { return path.empty() ? name : path + "/" + name; }

Result<os::Fd> open_again(const os::Fd& source, int flags) {
  return os::open_file(fmt::format("/proc/self/fd/{}", source.get()), flags);
}

// Errors of attributes are none: file systems differ in what they keep.
void Copier::copy_attributes(const os::Fd& source, const os::Fd& copy) {
  constexpr size_t kMost = 64 << 10;
  std::string names(kMost, '\0');
  const ssize_t size = ::flistxattr(source.get(), names.data(), names.size());
  if (size <= 0) return;
  names.resize(static_cast<size_t>(size));
  std::string value(kMost, '\0');
  for (const std::string_view name : split(names, '\0')) {
    if (name.empty() || name.starts_with("trusted.") || name.starts_with("user.overlay.")) continue;
    const std::string text(name);
    const ssize_t got = ::fgetxattr(source.get(), text.c_str(), value.data(), value.size());
    if (got >= 0) (void)::fsetxattr(copy.get(), text.c_str(), value.data(), static_cast<size_t>(got), 0);
  }
}

Result<void> Copier::dress(const os::Fd& file, const struct stat& st, const os::Fd* source) {
  const auto owner = options_.owner.value_or(std::pair(st.st_uid, st.st_gid));
  if (::fchown(file.get(), owner.first, owner.second) != 0 && errno != EPERM && errno != EINVAL)
    return Error::from_errno(errno, "change the owner");
  // After the owner: changing that takes set-uid away.
  if (::fchmod(file.get(), st.st_mode & 07777) != 0) return Error::from_errno(errno, "change the mode");
  if (source != nullptr) copy_attributes(*source, file);
  const timespec times[] = {st.st_atim, st.st_mtim};
  (void)::futimens(file.get(), times);
  return {};
}

Result<void> Copier::make_way(const os::Fd& to, const std::string& name) {
  if (!options_.overwrite || ::unlinkat(to.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno == EISDIR || errno == EPERM)
    return Error(Code::exists, "cannot overwrite the folder '{}' with something else", printable(name));
  return Error::from_errno(errno, "replace '{}'", printable(name));
}

Result<void> Copier::folder(const os::Fd& source, const os::Fd& to, const std::string& name, const struct stat& st,
                            const std::string& path, int depth) {
  if (depth >= kDeepest) return Error(Code::invalid, "more than {} folders deep", kDeepest);
  const os::Fd from = TRY(open_again(source, O_RDONLY | O_DIRECTORY));
  if (::mkdirat(to.get(), name.c_str(), 0700) != 0 && (errno != EEXIST || !options_.overwrite))
    return Error::from_errno(errno, "create the folder '{}'", printable(name));
  auto copy = os::open_at(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!copy) return Error(Code::exists, "cannot overwrite '{}', which is no folder, with a folder", printable(name));
  TRY(contents(from, *copy, path, depth + 1));
  return dress(*copy, st, &from);
}

Result<void> Copier::file(const os::Fd& source, const os::Fd& to, const std::string& name, const struct stat& st) {
  const os::Fd from = TRY(open_again(source, O_RDONLY));
  TRY(make_way(to, name));
  const os::Fd copy = TRY(os::open_at(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  constexpr size_t kPart = 4 << 20;
  ssize_t got;
  while ((got = ::copy_file_range(from.get(), nullptr, copy.get(), nullptr, kPart, 0)) > 0) {
  }
  if (got < 0) {  // Between these two file systems it has to be read.
    std::string buffer(1 << 18, '\0');
    while ((got = ::read(from.get(), buffer.data(), buffer.size())) > 0)
      TRY(os::write_all(copy, std::string_view(buffer.data(), static_cast<size_t>(got))));
    if (got < 0) return Error::from_errno(errno, "read '{}'", printable(name));
  }
  return dress(copy, st, &from);
}

Result<void> Copier::link(const os::Fd& source, const os::Fd& to, const std::string& name, const struct stat& st) {
  std::string text(PATH_MAX, '\0');
  const ssize_t got = ::readlinkat(source.get(), "", text.data(), text.size());
  if (got < 0) return Error::from_errno(errno, "read the link '{}'", printable(name));
  text.resize(static_cast<size_t>(got));
  TRY(make_way(to, name));
  if (::symlinkat(text.c_str(), to.get(), name.c_str()) != 0)
    return Error::from_errno(errno, "create the link '{}'", printable(name));
  const auto owner = options_.owner.value_or(std::pair(st.st_uid, st.st_gid));
  (void)!::fchownat(to.get(), name.c_str(), owner.first, owner.second, AT_SYMLINK_NOFOLLOW);
  const timespec times[] = {st.st_atim, st.st_mtim};
  (void)::utimensat(to.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW);
  return {};
}

Result<void> Copier::node(const os::Fd& to, const std::string& new_name, const struct stat& st) {
  if (!options_.devices) return {};
  TRY(make_way(to, new_name));
  // A plain user makes FIFOs and sockets, no devices.
  if (::mknodat(to.get(), new_name.c_str(), st.st_mode, st.st_rdev) != 0) {
    if (errno == EPERM && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))) return {};
    return Error::from_errno(errno, "create '{}'", printable(new_name));
  }
  const auto owner = options_.owner.value_or(std::pair(st.st_uid, st.st_gid));
  (void)!::fchownat(to.get(), new_name.c_str(), owner.first, owner.second, AT_SYMLINK_NOFOLLOW);
  if (::fchmodat(to.get(), new_name.c_str(), st.st_mode & 07777, 0) != 0)
    return Error::from_errno(errno, "change the mode of '{}'", printable(new_name));
  return {};
}

Result<bool> Copier::link_again(const struct stat& st, const os::Fd& to, const std::string& new_name,
                                const std::string& path) {
  if (!options_.hard_links || st.st_nlink < 2 || S_ISDIR(st.st_mode)) return false;
  const auto [first, fresh] = linked_.emplace(std::pair(st.st_dev, st.st_ino), path);
  if (fresh) return false;
  if (::linkat(top_.get(), first->second.c_str(), to.get(), new_name.c_str(), 0) != 0)
    return Error::from_errno(errno, "link '{}'", printable(new_name));
  return true;
}

Result<void> Copier::object(const os::Fd& source, const os::Fd& to, const std::string& name, const std::string& path,
                            int depth) {
  struct stat st = {};
  if (::fstat(source.get(), &st) != 0) return Error::from_errno(errno, "look at '{}'", printable(name));
  const bool linked = TRY(link_again(st, to, name, path));
  if (linked) return {};
  if (S_ISDIR(st.st_mode)) return folder(source, to, name, st, path, depth);
  if (S_ISREG(st.st_mode)) return file(source, to, name, st);
  if (S_ISLNK(st.st_mode)) return link(source, to, name, st);
  return node(to, name, st);
}

Result<void> Copier::contents(const os::Fd& from, const os::Fd& to, const std::string& path, int depth) {
  const std::vector<std::string> names = TRY(os::list_folder(fmt::format("/proc/self/fd/{}", from.get())));
  for (const std::string& name : names) {
    const auto source = os::open_at(from, name, O_PATH | O_NOFOLLOW);
    if (!source && source.error().code() == Code::not_found) continue;  // Gone since the folder was listed.
    if (!source) return source.error();
    TRY(object(*source, to, name, below(path, name), depth));
  }
  return {};
}

}  // namespace

Result<void> copy_contents(const os::Fd& from, const os::Fd& to, const CopyOptions& options, bool top) {
  Copier copier(to, options);
  TRY(copier.contents(from, to, "", 0));
  if (!top) return {};
  struct stat st = {};
  if (::fstat(from.get(), &st) != 0) return Error::from_errno(errno, "look at a folder");
  return copier.dress(to, st, &from);
}

Result<void> copy_object(const os::Fd& source, const os::Fd& to, const std::string& name, const CopyOptions& options) {
  return Copier(to, options).object(source, to, name, name, 0);
}

}  // namespace kist::containers

#include "verbs/container_tar.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "os/files.h"

namespace kist::verbs {
namespace {

using archive::TarEntry;
using archive::TarKind;

constexpr int kDeepest = 300;

Result<os::Fd> open_again(const os::Fd& source, int flags) {
  return os::open_file(fmt::format("/proc/self/fd/{}", source.get()), flags);
}

std::optional<TarKind> kind_of(mode_t mode) {
  if (S_ISREG(mode)) return TarKind::file;
  if (S_ISDIR(mode)) return TarKind::folder;
  if (S_ISLNK(mode)) return TarKind::symlink;
  if (S_ISCHR(mode)) return TarKind::character_device;
  if (S_ISBLK(mode)) return TarKind::block_device;
  if (S_ISFIFO(mode)) return TarKind::fifo;
  return std::nullopt;
}

// Those that mean something elsewhere too.
std::vector<std::pair<std::string, std::string>> attributes_of(const os::Fd& file) {
  std::vector<std::pair<std::string, std::string>> out;
  std::string names(64 << 10, '\0');
  const ssize_t size = ::flistxattr(file.get(), names.data(), names.size());
  if (size <= 0) return out;
  names.resize(static_cast<size_t>(size));
  std::string value(64 << 10, '\0');
  for (const std::string_view name : split(names, '\0')) {
    if (name.empty() || name.starts_with("trusted.") || name.starts_with("user.overlay.") || name.starts_with("system."))
      continue;
    const ssize_t got = ::fgetxattr(file.get(), std::string(name).c_str(), value.data(), value.size());
    if (got >= 0) out.emplace_back(name, value.substr(0, static_cast<size_t>(got)));
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::string> link_text(const os::Fd& link) {
  std::string text(PATH_MAX, '\0');
  const ssize_t got = ::readlinkat(link.get(), "", text.data(), text.size());
  if (got < 0) return Error::from_errno(errno, "read a link");
  text.resize(static_cast<size_t>(got));
  return text;
}

}  // namespace

Result<void> ContainerTar::add(const os::Fd& source, const std::string& path, int depth, bool whole) {
  struct stat st = {};
  if (::fstat(source.get(), &st) != 0) return Error::from_errno(errno, "look at '{}'", printable(path));
  const auto kind = kind_of(st.st_mode);
  if (!kind) return {};
  TarEntry entry{.path = path, .kind = *kind, .mode = st.st_mode & 07777u, .uid = st.st_uid, .gid = st.st_gid,
                 .mtime_s = st.st_mtim.tv_sec, .device_major = major(st.st_rdev), .device_minor = minor(st.st_rdev)};
  if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
    const auto [first, fresh] = written_.emplace(std::pair(st.st_dev, st.st_ino), path);
    if (!fresh) {
      entry.kind = TarKind::hardlink;
      entry.target = first->second;
      return tar_.begin(entry);
    }
  }
  if (S_ISLNK(st.st_mode)) entry.target = TRY(link_text(source));
  if (*kind != TarKind::file && *kind != TarKind::folder) return tar_.begin(entry);
  const os::Fd file = TRY(open_again(source, O_RDONLY));
  entry.xattrs = attributes_of(file);
  if (*kind == TarKind::folder) {
    TRY(tar_.begin(entry));
    return whole ? add_contents(file, path + "/", depth + 1) : Result<void>();
  }
  entry.size_bytes = static_cast<uint64_t>(st.st_size);
  TRY(tar_.begin(entry));
  std::string buffer(256 << 10, '\0');
  for (uint64_t left = entry.size_bytes; left > 0;) {
    const ssize_t got = ::read(file.get(), buffer.data(), std::min<uint64_t>(buffer.size(), left));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read '{}'", printable(path));
    if (got == 0) break;  // It was cut short meanwhile.
    TRY(tar_.write({buffer.data(), static_cast<size_t>(got)}));
    left -= static_cast<uint64_t>(got);
  }
  return {};
}

Result<void> ContainerTar::add_tree(const os::Fd& source, const std::string& path) { return add(source, path, 0, true); }

Result<void> ContainerTar::add_contents(const os::Fd& folder, const std::string& prefix, int depth) {
  if (depth > kDeepest) return Error(Code::invalid, "more than {} folders deep", kDeepest);
  const std::vector<std::string> names = TRY(os::list_folder(fmt::format("/proc/self/fd/{}", folder.get())));
  for (const std::string& name : names) {
    const auto source = os::open_at(folder, name, O_PATH | O_NOFOLLOW);
    if (!source && source.error().code() == Code::not_found) continue;  // Gone since it was listed.
    if (!source) return source.error();
    TRY(add(*source, prefix + name, depth, true));
  }
  return {};
}

Result<void> ContainerTar::add_changes(const std::vector<containers::Change>& changes) {
  for (const auto& change : changes) {
    const std::string path = change.path.substr(1);
    if (change.kind == 'D') {
      const std::string folder = os::parent_of(path);
      const std::string whiteout = fmt::format(".wh.{}", os::name_of(path));
      TRY(tar_.begin({.path = folder == "." ? whiteout : folder + "/" + whiteout, .mode = 0}));
      continue;
    }
    const auto source = os::open_in_root(root_, os::parent_of(change.path), O_PATH | O_DIRECTORY);
    if (!source) return source.error();
    const os::Fd file = TRY(os::open_at(*source, std::string(os::name_of(path)), O_PATH | O_NOFOLLOW));
    TRY(add(file, path, 0, false));
  }
  return {};
}

namespace {

// One entry of a tar on its way into a container.
class Unpacker {
 public:
  Unpacker(const os::Fd& root, std::string target, archive::TarReader& tar, bool keep_owners)
      : root_(root), target_(std::move(target)), tar_(tar), keep_owners_(keep_owners) {}
  Result<void> run();

 private:
  Result<void> entry(const TarEntry& entry);
  Result<os::Fd> folder_at(const std::string& path);
  Result<void> make(const TarEntry& entry, const os::Fd& folder, const std::string& name);
  Result<void> content(const os::Fd& file);
  Result<void> dress(const TarEntry& entry, const os::Fd& folder, const std::string& name);

  const os::Fd& root_;
  std::string target_;
  archive::TarReader& tar_;
  bool keep_owners_;
};

// A path inside `target_`, whatever the tar says: ".." and leading slashes mean nothing.
std::string inside(const std::string& raw) {
  std::string out;
  for (const std::string_view part : split(raw, '/'))
    if (!part.empty() && part != "." && part != "..") out += fmt::format("/{}", part);
  return out;
}

// Made as far as it is missing. Links are followed, inside the container's root.
Result<os::Fd> Unpacker::folder_at(const std::string& path) {
  auto there = os::open_in_root(root_, path, O_RDONLY | O_DIRECTORY);
  if (there || there.error().code() != Code::not_found || path == "/") return there;
  const os::Fd above = TRY(folder_at(os::parent_of(path)));
  const std::string name(os::name_of(path));
  if (::mkdirat(above.get(), name.c_str(), 0755) != 0 && errno != EEXIST)
    return Error::from_errno(errno, "create the folder '{}'", printable(path));
  return os::open_at(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Result<void> Unpacker::content(const os::Fd& file) {
  for (;;) {
    const std::string_view piece = TRY(tar_.read());
    if (piece.empty()) return {};
    TRY(os::write_all(file, piece));
  }
}

Result<void> Unpacker::make(const TarEntry& entry, const os::Fd& folder, const std::string& name) {
  if (entry.kind == TarKind::folder) {
    if (::mkdirat(folder.get(), name.c_str(), 0700) == 0 || errno == EEXIST) return {};
    return Error::from_errno(errno, "create the folder '{}'", printable(entry.path));
  }
  if (::unlinkat(folder.get(), name.c_str(), 0) != 0 && errno != ENOENT)
    return Error(Code::exists, "cannot overwrite the folder '{}' with something else", printable(entry.path));
  const auto done = [&](int status) -> Result<void> {
    if (status == 0) return {};
    return Error::from_errno(errno, "create '{}'", printable(entry.path));
  };
  if (entry.kind == TarKind::symlink) return done(::symlinkat(entry.target.c_str(), folder.get(), name.c_str()));
  if (entry.kind == TarKind::fifo) return done(::mkfifoat(folder.get(), name.c_str(), 0600));
  if (entry.kind == TarKind::hardlink) {
    const os::Fd first = TRY(os::open_in_root(root_, target_ + inside(entry.target), O_PATH | O_NOFOLLOW));
    return done(::linkat(AT_FDCWD, fmt::format("/proc/self/fd/{}", first.get()).c_str(), folder.get(), name.c_str(),
                         AT_SYMLINK_FOLLOW));
  }
  const os::Fd file = TRY(os::open_at(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  return content(file);
}

Result<void> Unpacker::dress(const TarEntry& entry, const os::Fd& folder, const std::string& name) {
  if (entry.kind == TarKind::hardlink) return {};
  const auto uid = keep_owners_ ? static_cast<uid_t>(entry.uid) : 0;
  const auto gid = keep_owners_ ? static_cast<gid_t>(entry.gid) : 0;
  (void)!::fchownat(folder.get(), name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW);
  const timespec times[] = {{entry.mtime_s, 0}, {entry.mtime_s, 0}};
  if (entry.kind == TarKind::symlink) {
    (void)::utimensat(folder.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW);
    return {};
  }
  const os::Fd file = TRY(os::open_at(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (::fchmod(file.get(), entry.mode) != 0)
    return Error::from_errno(errno, "change the mode of '{}'", printable(entry.path));
  for (const auto& [key, value] : entry.xattrs)
    (void)::fsetxattr(file.get(), key.c_str(), value.data(), value.size(), 0);
  (void)::futimens(file.get(), times);
  return {};
}

Result<void> Unpacker::entry(const TarEntry& entry) {
  const std::string path = inside(entry.path);
  if (path.empty()) return {};
  const bool known = entry.kind == TarKind::file || entry.kind == TarKind::folder || entry.kind == TarKind::symlink ||
                     entry.kind == TarKind::hardlink || entry.kind == TarKind::fifo;
  if (!known) return {};  // A container has a /dev of its own.
  const std::string whole = target_ + path;
  const os::Fd folder = TRY(folder_at(os::parent_of(whole)));
  const std::string name(os::name_of(whole));
  TRY(make(entry, folder, name));
  return dress(entry, folder, name);
}

Result<void> Unpacker::run() {
  TarEntry next;
  for (;;) {
    const bool more = TRY(tar_.next(next));
    if (!more) return {};
    TRY(entry(next), "'{}'", printable(next.path));
  }
}

}  // namespace

Result<void> unpack_into(const os::Fd& root, const std::string& target, archive::TarReader& tar, bool keep_owners) {
  return Unpacker(root, target == "/" ? "" : target, tar, keep_owners).run();
}

}  // namespace kist::verbs

#include "os/files.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>

#include "base/text.h"

namespace kist::os {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

Result<void> remove_entry(int parent, const char* name, const std::string& shown);

// Empties the folder that `dir` reads. Takes the descriptor, so that nobody can swap a parent.
Result<void> remove_children(Dir dir, const std::string& shown) {
  const int fd = ::dirfd(dir.get());
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    TRY(remove_entry(fd, entry->d_name, shown));
  }
  return {};
}

Result<void> remove_entry(int parent, const char* name, const std::string& shown) {
  if (::unlinkat(parent, name, 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM && errno != EACCES)
    return Error::from_errno(errno, "remove '{}/{}'", printable(shown), printable(name));
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int fd = ::openat(parent, name, kFlags);
  if (fd < 0 && errno == EACCES && ::fchmodat(parent, name, 0700, 0) == 0)
    fd = ::openat(parent, name, kFlags);
  if (fd < 0) return Error::from_errno(errno, "remove '{}/{}'", printable(shown), printable(name));
  struct stat st = {};
  if (::fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700) ::fchmod(fd, 0700);
  TRY(remove_children(Dir(::fdopendir(fd)), join(shown, name)));
  if (::unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove '{}/{}'", printable(shown), printable(name));
  return {};
}

Result<void> replace_file(const std::string& path, std::string_view bytes, mode_t mode,
                          bool durable) {
  const std::string folder = parent_of(path);
  std::string temporary = join(folder, fmt::format(".{}.XXXXXX", name_of(path)));
  const int raw = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (raw < 0) return Error::from_errno(errno, "create a file in '{}'", printable(folder));
  Fd fd(raw);
  auto written = [&]() -> Result<void> {
    TRY(write_all(fd, bytes));
    if (::fchmod(fd.get(), mode) != 0) return Error::from_errno(errno, "chmod '{}'", temporary);
    if (durable && ::fsync(fd.get()) != 0) return Error::from_errno(errno, "fsync '{}'", temporary);
    TRY(std::move(fd).close());
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      return Error::from_errno(errno, "rename '{}'", printable(path));
    return {};
  }();
  if (!written) {
    ::unlink(temporary.c_str());
    return std::move(written).error().context(fmt::format("writing '{}'", printable(path)));
  }
  if (durable) {
    const Fd dir = TRY(open_file(folder, O_RDONLY | O_DIRECTORY));
    if (::fsync(dir.get()) != 0) return Error::from_errno(errno, "fsync '{}'", printable(folder));
  }
  return {};
}

Result<Fd> lock_file(const std::string& path, int operation) {
  Fd fd;
  auto opened = open_file(path, O_RDWR | O_CREAT, 0644);
  // A store on a read-only medium can still be read; flock works on a read-only descriptor.
  if (!opened && opened.error().code() == Code::denied) opened = open_file(path, O_RDONLY);
  fd = TRY(std::move(opened));
  while (::flock(fd.get(), operation) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return Fd();
    return Error::from_errno(errno, "lock '{}'", printable(path));
  }
  return fd;
}

int lock_operation(FileLock::Mode mode) {
  return mode == FileLock::Mode::shared ? LOCK_SH : LOCK_EX;
}

}  // namespace

Result<Fd> open_file(const std::string& path, int flags, mode_t mode) {
  int raw;
  do raw = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (raw < 0 && errno == EINTR);
  if (raw < 0) return Error::from_errno(errno, "open '{}'", printable(path));
  return Fd(raw);
}

Result<Fd> open_at(const Fd& dir, const std::string& path, int flags, mode_t mode) {
  int raw;
  do raw = ::openat(dir.get(), path.c_str(), flags | O_CLOEXEC, mode);
  while (raw < 0 && errno == EINTR);
  if (raw < 0) return Error::from_errno(errno, "open '{}'", printable(path));
  return Fd(raw);
}

Result<Fd> open_in_root(const Fd& root, const std::string& path, int flags, mode_t mode) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  // The kernel refuses a mode without O_CREAT or O_TMPFILE (which has the bit of O_DIRECTORY in it).
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  long raw;
  // EAGAIN: a rename raced with the walk and the kernel could not prove that it stayed inside.
  do raw = ::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how);
  while (raw < 0 && (errno == EINTR || errno == EAGAIN));
  if (raw < 0) return Error::from_errno(errno, "open '{}' in the root", printable(path));
  return Fd(static_cast<int>(raw));
}

Result<std::string> read_all(const Fd& fd, uint64_t limit_bytes) {
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return Error::from_errno(errno, "stat");
  std::string out;
  size_t used = 0;
  // One byte more than the size, so that the end is seen without a second read. Never more than can be taken:
  // whoever may write a file can give it any size, of holes.
  out.resize(static_cast<size_t>(std::min(static_cast<uint64_t>(std::max<int64_t>(st.st_size, 0)), limit_bytes)) + 1);
  while (true) {
    if (used == out.size()) out.resize(std::max<size_t>(out.size() * 2, 4096));
    const ssize_t got = ::read(fd.get(), out.data() + used, out.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read");
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > limit_bytes)
      return Error(Code::invalid, "larger than the limit of {}", human_bytes(limit_bytes));
  }
  out.resize(used);
  return out;
}

Result<std::string> read_file(const std::string& path, uint64_t limit_bytes) {
  const Fd fd = TRY(open_file(path, O_RDONLY));
  return TRY(read_all(fd, limit_bytes), "reading '{}'", printable(path));
}

Result<void> write_all(const Fd& fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Error::from_errno(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

Result<void> write_file_durably(const std::string& path, std::string_view bytes, mode_t mode) {
  return replace_file(path, bytes, mode, true);
}

Result<void> write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode) {
  return replace_file(path, bytes, mode, false);
}

Result<void> make_folders(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == EEXIST) {
    if (is_folder(path)) return {};
    return Error(Code::exists, "create folder '{}': something else has this name", printable(path));
  }
  if (errno != ENOENT) return Error::from_errno(errno, "create folder '{}'", printable(path));
  TRY(make_folders(parent_of(path), mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return Error::from_errno(errno, "create folder '{}'", printable(path));
  return {};
}

Result<void> remove_tree(const std::string& path) {
  return remove_entry(AT_FDCWD, path.c_str(), parent_of(path));
}

Result<std::vector<std::string>> list_folder(const std::string& path) {
  Dir dir(::opendir(path.c_str()));
  if (dir == nullptr) return Error::from_errno(errno, "list '{}'", printable(path));
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return Error::from_errno(errno, "list '{}'", printable(path));
  std::sort(names.begin(), names.end());
  return names;
}

bool exists(const std::string& path) {
  struct stat st = {};
  return ::lstat(path.c_str(), &st) == 0;
}

bool is_folder(const std::string& path) {
  struct stat st = {};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

std::optional<Stamp> stamp(const std::string& path) {
  struct stat st = {};
  if (::stat(path.c_str(), &st) != 0) return std::nullopt;
  constexpr int64_t kNanoseconds = 1'000'000'000;
  return Stamp{.size_bytes = static_cast<uint64_t>(st.st_size),
               .mtime_ns = st.st_mtim.tv_sec * kNanoseconds + st.st_mtim.tv_nsec,
               .ctime_ns = st.st_ctim.tv_sec * kNanoseconds + st.st_ctim.tv_nsec,
               .inode = st.st_ino};
}

Result<std::string> read_link(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t got = ::readlink(path.c_str(), target.data(), target.size());
  if (got < 0) return Error::from_errno(errno, "read link '{}'", printable(path));
  target.resize(static_cast<size_t>(got));
  return target;
}

Result<std::string> real_path(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return Error::from_errno(errno, "resolve '{}'", printable(path));
  std::string out = resolved;
  ::free(resolved);
  return out;
}

std::string join(std::string_view folder, std::string_view name) {
  std::string out(folder);
  if (!out.empty() && out.back() != '/') out += '/';
  return out += name;
}

std::string parent_of(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string_view name_of(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos || path.size() == 1 ? path : path.substr(slash + 1);
}

Result<uint64_t> free_bytes(const std::string& path) {
  struct statvfs st = {};
  if (::statvfs(path.c_str(), &st) != 0)
    return Error::from_errno(errno, "free space of '{}'", printable(path));
  return static_cast<uint64_t>(st.f_bavail) * st.f_frsize;
}

Result<TempDir> TempDir::make(const std::string& parent, std::string_view prefix) {
  std::string path = join(parent, fmt::format("{}XXXXXX", prefix));
  if (::mkdtemp(path.data()) == nullptr)
    return Error::from_errno(errno, "create a temporary folder in '{}'", printable(parent));
  return TempDir(std::move(path));
}

TempDir::~TempDir() {
  if (!path_.empty()) (void)remove_tree(path_).has_value();
}

Result<FileLock> FileLock::acquire(const std::string& path, Mode mode) {
  Fd fd = TRY(lock_file(path, lock_operation(mode)));
  return FileLock(std::move(fd));
}

Result<std::optional<FileLock>> FileLock::try_acquire(const std::string& path, Mode mode) {
  Fd fd = TRY(lock_file(path, lock_operation(mode) | LOCK_NB));
  if (!fd.is_open()) return std::optional<FileLock>();
  return std::optional<FileLock>(FileLock(std::move(fd)));
}

}  // namespace kist::os

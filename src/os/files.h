// Files and folders: the only door to the disk. All functions block; none follows a rule of its
// own about durability unless its comment says so. Paths may hold any bytes but NUL.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/fd.h"

namespace kist::os {

/// What identifies one state of a file cheaply. Two equal stamps mean "not touched", as make and
/// git assume; ctime is in it because it cannot be set back by a program.
struct Stamp {
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  uint64_t inode = 0;
  bool operator==(const Stamp&) const = default;
};

/// open(2) with O_CLOEXEC, retried on EINTR.
Result<Fd> open_file(const std::string& path, int flags, mode_t mode = 0644);
Result<Fd> open_at(const Fd& dir, const std::string& path, int flags, mode_t mode = 0644);
/// openat2(2) with RESOLVE_IN_ROOT: no symlink or ".." leads out of `root` (Linux 5.6).
Result<Fd> open_in_root(const Fd& root, const std::string& path, int flags, mode_t mode = 0644);

/// The whole file. Errors: those of open, and invalid when it is larger than `limit_bytes`.
Result<std::string> read_file(const std::string& path, uint64_t limit_bytes = 1ull << 30);
Result<std::string> read_all(const Fd& fd, uint64_t limit_bytes = 1ull << 30);
Result<void> write_all(const Fd& fd, std::string_view bytes);

/// Replaces `path` all at once: temporary file beside it, fsync, rename, fsync of the folder. A
/// reader sees the old or the new content, a crash too.
Result<void> write_file_durably(const std::string& path, std::string_view bytes,
                                mode_t mode = 0644);
/// The same without the two fsyncs: atomic for readers, but a power cut may undo or empty it. For
/// caches that are checked when read.
Result<void> write_file_atomically(const std::string& path, std::string_view bytes,
                                   mode_t mode = 0644);

/// Makes `path` and what is missing above it. An existing folder is fine.
Result<void> make_folders(const std::string& path, mode_t mode = 0755);
/// Removes a file or a whole tree, never following links; a missing one is fine. Folders without
/// write permission are made writable first.
Result<void> remove_tree(const std::string& path);
/// Names in a folder, sorted bytewise, without "." and "..".
Result<std::vector<std::string>> list_folder(const std::string& path);

bool exists(const std::string& path);  // lstat: a dangling link exists.
bool is_folder(const std::string& path);
/// Empty when the path does not exist or cannot be looked at. Follows links.
std::optional<Stamp> stamp(const std::string& path);
Result<std::string> read_link(const std::string& path);
/// realpath(3): absolute, without links. Errors: not_found.
Result<std::string> real_path(const std::string& path);
std::string join(std::string_view folder, std::string_view name);
/// "a/b" of "a/b/c"; "." for a bare name, "/" for "/x".
std::string parent_of(std::string_view path);
std::string_view name_of(std::string_view path);
/// Free bytes for an unprivileged writer on the file system that holds `path`.
Result<uint64_t> free_bytes(const std::string& path);

/// A folder of our own that goes away, with what is in it, when this object does.
class TempDir {
 public:
  /// Makes `parent`/`prefix`XXXXXX, mode 0700.
  static Result<TempDir> make(const std::string& parent, std::string_view prefix = "tmp.");
  TempDir() = default;
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempDir& operator=(TempDir&& other) noexcept {
    TempDir taken(std::move(other));
    std::swap(path_, taken.path_);
    return *this;
  }
  ~TempDir();
  const std::string& path() const { return path_; }
  /// Leaves the folder in place and forgets it.
  std::string release() && { return std::exchange(path_, {}); }

 private:
  explicit TempDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// An flock(2) lock; released when this object goes away and when the process dies.
class FileLock {
 public:
  enum class Mode { shared, exclusive };
  /// Creates the file when missing and waits for the lock.
  static Result<FileLock> acquire(const std::string& path, Mode mode);
  /// Empty when somebody else holds it.
  static Result<std::optional<FileLock>> try_acquire(const std::string& path, Mode mode);
  /// Lets go of the object but not of the lock, which then lives as long as the descriptor and
  /// every copy of it that a child inherits.
  Fd release() && { return std::move(fd_); }

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace kist::os

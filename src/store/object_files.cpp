// How a content gets its name. Small ones are hashed in memory, and mostly found to be there. What
// is new goes to a temporary file in the same shard folder and is renamed, so that a name never
// shows half a content to another process. Same folder, because a rename between folders takes a
// lock of the whole file system, at which parallel writers would queue.
//
// A file of the wrong length was torn by a power cut (recovery.cpp tells what else can happen then)
// or damaged; it is replaced.

#include "store/object_files.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "os/files.h"
#include "store/layout.h"

namespace kist::store {
namespace {

constexpr unsigned kMaxSpares = 1000;

bool is_intact(int folder, const std::string& name, uint64_t size_bytes) {
  struct stat st = {};
  return ::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
         static_cast<uint64_t>(st.st_size) == size_bytes;
}

int write_bytes(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return 0;
}

// Mode and time are part of what a program sees through a hard link; close() is where a quota may
// first be reported. Returns an errno, or 0.
int seal(os::Fd fd, uint32_t mode) {
  if (::fchmod(fd.get(), disk_mode(mode)) != 0) return errno;
  const timespec times[2] = {{kTreeTime, 0}, {kTreeTime, 0}};
  if (::futimens(fd.get(), times) != 0) return errno;
  if (::close(std::move(fd).release()) != 0 && errno != EINTR) return errno;
  return 0;
}

}  // namespace

// One content of which the name is known only at the end.
class ObjectFiles::Writer final : public ObjectWriter {
 public:
  Writer(ObjectFiles& files, std::string path, os::Fd fd, uint32_t mode)
      : files_(files), path_(std::move(path)), fd_(std::move(fd)), mode_(mode) {}
  ~Writer() override {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  Result<void> write(std::string_view bytes) override {
    hasher_.update(bytes);
    size_bytes_ += bytes.size();
    if (const int err = write_bytes(fd_.get(), bytes); err != 0)
      return disk_error(err, files_.home_, "write an object");
    return {};
  }

  Result<Object> finish() override {
    const Object object{.digest = hasher_.finish(), .size_bytes = size_bytes_};
    TRY(files_.adopt(path_, std::move(fd_), object, mode_));
    path_.clear();
    return object;
  }

 private:
  ObjectFiles& files_;
  std::string path_;
  os::Fd fd_;
  uint32_t mode_;
  oci::Sha256 hasher_;
  uint64_t size_bytes_ = 0;
};

ObjectFiles::ObjectFiles(std::string home, std::string temporary_folder, std::string tag)
    : home_(std::move(home)),
      temporary_folder_(std::move(temporary_folder)),
      tag_(std::move(tag)),
      counter_(std::make_unique<std::atomic<uint64_t>>(0)),
      written_(std::make_unique<std::atomic<bool>>(false)) {}

Result<ObjectFiles> ObjectFiles::open(const std::string& home, std::string temporary_folder,
                                      std::string tag) {
  ObjectFiles files(home, std::move(temporary_folder), std::move(tag));
  files.objects_ = TRY(os::open_file(os::join(home, kObjectsFolder), O_PATH | O_DIRECTORY));
  files.trees_ = TRY(os::open_file(os::join(home, kTreesFolder), O_PATH | O_DIRECTORY));
  return files;
}

std::string ObjectFiles::temporary_name() {
  return fmt::format(".{}.{}", tag_, counter_->fetch_add(1));
}

// Gives the file `temporary` (a path, or relative to `folder`) its name.
Result<void> ObjectFiles::publish(const std::string& temporary, const os::Fd& folder,
                                  const std::string& name, uint64_t size_bytes) {
  written_->store(true);
  // NOREPLACE: a farm may have linked the inode that another writer put there a moment ago; a
  // second inode for the same content would only cost space.
  if (::renameat2(folder.get(), temporary.c_str(), folder.get(), name.c_str(), RENAME_NOREPLACE) ==
      0)
    return {};
  if (errno == EEXIST && is_intact(folder.get(), name, size_bytes)) {
    ::unlinkat(folder.get(), temporary.c_str(), 0);
    return {};
  }
  // Torn, or a file system (NFS) without RENAME_NOREPLACE.
  if (errno == EEXIST || errno == EINVAL || errno == ENOSYS) {
    if (::renameat(folder.get(), temporary.c_str(), folder.get(), name.c_str()) == 0) return {};
  }
  return disk_error(errno, home_, fmt::format("rename an object to '{}'", name));
}

Result<void> ObjectFiles::adopt(const std::string& path, os::Fd fd, const Object& object, uint32_t mode) {
  const std::string name = object_name(object.digest, mode);
  if (is_intact(objects_.get(), name, object.size_bytes)) {
    ::unlink(path.c_str());
    return {};
  }
  if (const int err = seal(std::move(fd), mode); err != 0)
    return disk_error(err, home_, "finish an object");
  return publish(path, objects_, name, object.size_bytes);
}

Result<void> ObjectFiles::write_file(const os::Fd& folder, const std::string& name,
                                     std::string_view bytes, uint32_t mode) {
  if (is_intact(folder.get(), name, bytes.size())) return {};
  const std::string temporary = name.substr(0, 3) + temporary_name();
  const int raw = ::openat(folder.get(), temporary.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) return disk_error(errno, home_, fmt::format("create '{}'", temporary));
  os::Fd fd(raw);
  int err = write_bytes(fd.get(), bytes);
  if (err == 0) err = seal(std::move(fd), mode);
  Result<void> done = err == 0 ? publish(temporary, folder, name, bytes.size())
                               : disk_error(err, home_, fmt::format("write '{}'", name));
  if (!done) ::unlinkat(folder.get(), temporary.c_str(), 0);
  return done;
}

Result<Object> ObjectFiles::put(std::string_view bytes, uint32_t mode) {
  const Object object{.digest = oci::Sha256::of(bytes), .size_bytes = bytes.size()};
  TRY(write_file(objects_, object_name(object.digest, mode), bytes, mode));
  return object;
}

Result<oci::Digest> ObjectFiles::put_tree(std::string_view encoded) {
  const oci::Digest digest = oci::Sha256::of(encoded);
  TRY(write_file(trees_, tree_name(digest), encoded, 0644));
  return digest;
}

Result<void> ObjectFiles::link(const oci::Digest& object, uint32_t mode, const os::Fd& folder,
                               const std::string& path) {
  const std::string name = object_name(object, mode);
  std::string from = name;
  for (unsigned spare = 1; spare <= kMaxSpares; ++spare) {
    if (::linkat(objects_.get(), from.c_str(), folder.get(), path.c_str(), 0) == 0) return {};
    if (errno == ENOENT && from != name) {
      TRY(make_spare(name, from, mode));
      if (::linkat(objects_.get(), from.c_str(), folder.get(), path.c_str(), 0) == 0) return {};
    }
    if (errno == ENOENT)
      return Error(Code::not_found, "object {} of '{}' is not in the store", object.string(),
                   printable(path))
          .hint("`kist fsck`");
    if (errno != EMLINK) break;
    from = fmt::format("{}.~{}", name, spare);
  }
  return disk_error(errno, home_, fmt::format("link '{}'", printable(path)));
}

Result<void> ObjectFiles::make_spare(const std::string& name, const std::string& spare,
                                     uint32_t mode) {
  const std::string temporary = name.substr(0, 3) + temporary_name();
  Result<void> done = copy_file(name, objects_, temporary);
  if (done) {
    struct stat st = {};
    os::Fd fd = TRY(os::open_at(objects_, temporary, O_WRONLY | O_NOFOLLOW));
    if (::fstat(fd.get(), &st) != 0) return Error::from_errno(errno, "stat '{}'", temporary);
    const int err = seal(std::move(fd), mode);
    done = err == 0 ? publish(temporary, objects_, spare, static_cast<uint64_t>(st.st_size))
                    : disk_error(err, home_, fmt::format("write '{}'", spare));
  }
  if (!done) ::unlinkat(objects_.get(), temporary.c_str(), 0);
  return done;
}

Result<void> ObjectFiles::copy(const oci::Digest& object, uint32_t mode, const os::Fd& folder,
                               const std::string& path) {
  return copy_file(object_name(object, mode), folder, path);
}

Result<void> ObjectFiles::copy_file(const std::string& name, const os::Fd& folder,
                                    const std::string& path) {
  const os::Fd from = TRY(os::open_at(objects_, name, O_RDONLY | O_NOFOLLOW));
  const int raw = ::openat(folder.get(), path.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) return disk_error(errno, home_, fmt::format("create '{}'", printable(path)));
  const os::Fd to(raw);
  std::string buffer(1u << 18, '\0');
  while (true) {
    const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read the object '{}'", name);
    if (got == 0) return {};
    const int err =
        write_bytes(to.get(), std::string_view(buffer.data(), static_cast<size_t>(got)));
    if (err != 0) return disk_error(err, home_, fmt::format("write '{}'", printable(path)));
  }
}

Result<std::unique_ptr<ObjectWriter>> ObjectFiles::begin(uint32_t mode) {
  std::string path = os::join(temporary_folder_, temporary_name());
  const int raw =
      ::openat(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) return disk_error(errno, home_, fmt::format("create '{}'", printable(path)));
  return std::unique_ptr<ObjectWriter>(
      std::make_unique<Writer>(*this, std::move(path), os::Fd(raw), mode));
}

}  // namespace kist::store

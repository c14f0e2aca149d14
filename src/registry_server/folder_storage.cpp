#include "registry_server/folder_storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "os/files.h"

namespace kist::registry_server {
namespace {

constexpr std::string_view kFormat = "kist-registry 1\n";
constexpr uint64_t kMaxText = 8u << 20;
constexpr std::string_view kUploads = "uploads";

std::string folder_of(const std::string& key) { return key.substr(0, key.rfind('/')); }

// What a stranger has put there by hand is not followed.
Result<os::Fd> open_below(const os::Fd& root, const std::string& key, int flags, mode_t mode = 0644) {
  const int fd = ::openat(root.get(), key.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return Error::from_errno(errno, "open '{}'", printable(key));
  return os::Fd(fd);
}

bool is_missing(int error) { return error == ENOENT || error == ENOTDIR; }

}  // namespace

Result<std::string> BlobSource::read(uint64_t limit_bytes) const {
  if (size_bytes > limit_bytes) return Error(Code::invalid, "{} bytes, more than {}", size_bytes, limit_bytes);
  std::string out;
  out.reserve(size_bytes);
  if (file == nullptr) {
    TRY(copy(0, size_bytes, [&](std::string_view bytes) -> Result<void> { out += bytes; return {}; }));
    return out;
  }
  out.resize(size_bytes);
  for (size_t done = 0; done < out.size();) {
    const ssize_t got = ::pread(file->get(), out.data() + done, out.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read a blob");
    if (got == 0) return Error(Code::corrupt, "a blob has become shorter");
    done += static_cast<size_t>(got);
  }
  return out;
}

StagedFile::StagedFile(StagedFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), file_(std::move(other.file_)), size_bytes_(other.size_bytes_) {}

StagedFile::~StagedFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

std::string blob_key(const ContentDigest& digest) {
  return fmt::format("blobs/{}/{}/{}", digest.algorithm_name(), digest.hex().substr(0, 2), digest.hex());
}

Result<std::unique_ptr<FolderStorage>> FolderStorage::open(const std::string& root, bool syncs) {
  TRY(os::make_folders(root));
  const std::string format = os::join(root, "format");
  if (os::exists(format)) {
    const std::string found = TRY(os::read_file(format, 100));
    if (found != kFormat)
      return Error(Code::unsupported, "'{}' has format '{}', want '{}'", root, printable(trim(found)), trim(kFormat))
          .hint("use another folder, or the newer kist that made it");
  } else {
    const auto found = TRY(os::list_folder(root));
    if (!found.empty())
      return Error(Code::invalid, "'{}' is neither empty nor a registry", root).hint("choose a folder of its own with --root");
    TRY(os::write_file_durably(format, kFormat));
  }
  for (const std::string_view folder : {"blobs/sha256", "blobs/sha512", "repositories", "uploads"})
    TRY(os::make_folders(os::join(root, folder)));
  os::Fd fd = TRY(os::open_file(root, O_RDONLY | O_DIRECTORY));
  auto storage = std::unique_ptr<FolderStorage>(new FolderStorage(std::move(fd), root, syncs));
  // Texts that a death left half written; uploads are their owner's to go on with (uploads.h).
  const std::string uploads = os::join(root, kUploads);
  const auto names = TRY(os::list_folder(uploads));
  for (const std::string& name : names)
    if (name.starts_with("text.")) ::unlink(os::join(uploads, name).c_str());
  return storage;
}

Result<std::optional<std::string>> FolderStorage::get(const std::string& key) {
  const int fd = ::openat(root_.get(), key.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && is_missing(errno)) return std::nullopt;
  if (fd < 0) return Error::from_errno(errno, "open '{}'", printable(key));
  const os::Fd file(fd);
  // Nearly all fit into the first read, and the end shows with it.
  char buffer[1024];
  const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
  if (got < 0 && errno == EISDIR) return std::nullopt;
  if (got < 0) return Error::from_errno(errno, "read '{}'", printable(key));
  std::string text(buffer, static_cast<size_t>(got));
  if (static_cast<size_t>(got) == sizeof buffer) text += TRY(os::read_all(file, kMaxText));
  return text;
}

Result<bool> FolderStorage::has(const std::string& key) {
  if (::faccessat(root_.get(), key.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (is_missing(errno)) return false;
  return Error::from_errno(errno, "look for '{}'", printable(key));
}

Result<std::optional<int64_t>> FolderStorage::modified(const std::string& key) {
  struct stat status = {};
  if (::fstatat(root_.get(), key.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return status.st_mtim.tv_sec;
  if (is_missing(errno)) return std::nullopt;
  return Error::from_errno(errno, "look at '{}'", printable(key));
}

Result<void> FolderStorage::make_parents(const std::string& key) {
  const std::string folder = folder_of(key);
  if (::faccessat(root_.get(), folder.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return {};
  return os::make_folders(os::join(path_, folder));
}

std::string FolderStorage::new_temporary() {
  const std::scoped_lock lock(mutex_);
  return fmt::format("{}/text.{}.{}", kUploads, ::getpid(), next_temporary_++);
}

Result<void> FolderStorage::write_text(const std::string& key, std::string_view text) {
  const std::string temporary = new_temporary();
  os::Fd file = TRY(open_below(root_, temporary, O_WRONLY | O_CREAT | O_EXCL));
  auto written = os::write_all(file, text);
  if (written) written = std::move(file).close();
  if (written && ::renameat(root_.get(), temporary.c_str(), root_.get(), key.c_str()) != 0)
    written = Error::from_errno(errno, "write '{}'", printable(key));
  if (!written) ::unlinkat(root_.get(), temporary.c_str(), 0);
  return written;
}

Result<void> FolderStorage::put(const std::string& key, std::string_view text, bool is_durable) {
  TRY(make_parents(key));
  const bool syncs = is_durable && syncs_;
  auto written = write_text(key, text);
  // Its folder may have been removed as empty between the two.
  if (!written && written.error().code() == Code::not_found) {
    TRY(make_parents(key));
    written = write_text(key, text);
  }
  TRY(std::move(written));
  return syncs ? sync_together() : Result<void>();
}

// One flush of the disk for all who want one: those who come while it runs wait for the next. A sync of
// each file and folder by itself cost a flush each, and clients that push at once waited in a row.
Result<void> FolderStorage::sync_together() {
  uint64_t mine = 0;
  {
    const std::scoped_lock lock(mutex_);
    mine = ++wanted_;
  }
  const std::scoped_lock turn(syncing_);
  if (synced_ >= mine) return {};
  uint64_t all = 0;
  {
    const std::scoped_lock lock(mutex_);
    all = wanted_;
  }
  if (::syncfs(root_.get()) != 0) return Error::from_errno(errno, "sync '{}'", path_);
  synced_ = all;
  return {};
}

Result<void> FolderStorage::sync_file(const os::Fd& file) {
  bool is_alone = false;
  {
    const std::scoped_lock lock(mutex_);
    is_alone = syncing_files_++ == 0;
  }
  // Alone, what others write to this disk is not waited for.
  auto synced = is_alone ? (::fdatasync(file.get()) == 0 ? Result<void>() : Error::from_errno(errno, "sync a blob")) : sync_together();
  const std::scoped_lock lock(mutex_);
  --syncing_files_;
  return synced;
}

Result<void> FolderStorage::touch(const std::string& key) {
  if (::utimensat(root_.get(), key.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0 && !is_missing(errno))
    return Error::from_errno(errno, "touch '{}'", printable(key));
  return {};
}

Result<bool> FolderStorage::remove(const std::string& key) {
  if (::unlinkat(root_.get(), key.c_str(), 0) != 0) {
    if (is_missing(errno)) return false;
    return Error::from_errno(errno, "remove '{}'", printable(key));
  }
  // Folders that are empty now go too; one that is not says so.
  std::string folder = folder_of(key);
  while (folder.starts_with("repositories/") && ::unlinkat(root_.get(), folder.c_str(), AT_REMOVEDIR) == 0)
    folder = folder_of(folder);
  return true;
}

Result<Listing> FolderStorage::list(const std::string& prefix) {
  Listing listing;
  auto names = os::list_folder(os::join(path_, prefix));
  if (!names && names.error().code() == Code::not_found) return listing;
  if (!names) return std::move(names).error();
  for (std::string& name : *names) {
    struct stat status = {};
    if (::fstatat(root_.get(), (prefix + name).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(status.st_mode)) listing.folders.push_back(std::move(name));
    else if (S_ISREG(status.st_mode)) listing.files.push_back(std::move(name));
  }
  return listing;
}

Result<std::optional<BlobSource>> FolderStorage::open_blob(const ContentDigest& digest) {
  const int fd = ::openat(root_.get(), blob_key(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && is_missing(errno)) return std::nullopt;
  if (fd < 0) return Error::from_errno(errno, "open blob {}", digest.string());
  auto file = std::make_shared<const os::Fd>(fd);
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return Error::from_errno(errno, "look at blob {}", digest.string());
  return BlobSource{.size_bytes = static_cast<uint64_t>(status.st_size),
                    .modified_s = status.st_mtim.tv_sec,
                    .file = std::move(file),
                    .growing = {},
                    .copy = {}};
}

Result<bool> FolderStorage::touch_blob(const ContentDigest& digest) {
  if (::utimensat(root_.get(), blob_key(digest).c_str(), nullptr, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (is_missing(errno)) return false;
  return Error::from_errno(errno, "touch blob {}", digest.string());
}

Result<void> FolderStorage::put_blob(const ContentDigest& digest, StagedFile file) {
  const std::string key = blob_key(digest);
  const bool is_there = TRY(touch_blob(digest));
  if (is_there) return {};
  TRY(make_parents(key));
  if (syncs_) TRY(sync_file(file.file()));
  // Who comes second replaces the same bytes by the same bytes.
  if (::renameat(AT_FDCWD, file.path().c_str(), root_.get(), key.c_str()) != 0)
    return Error::from_errno(errno, "name blob {}", digest.string());
  file.taken();
  return {};
}

Result<os::Fd> FolderStorage::lock(bool is_alone) {
  auto held = TRY(os::FileLock::acquire(os::join(path_, "needs.lock"), is_alone ? os::FileLock::Mode::exclusive : os::FileLock::Mode::shared));
  return std::move(held).release();
}

Result<bool> FolderStorage::remove_blob(const ContentDigest& digest) { return remove(blob_key(digest)); }

Result<std::vector<StoredBlob>> FolderStorage::blobs() {
  std::vector<StoredBlob> found;
  for (const std::string_view algorithm : {"sha256", "sha512"}) {
    const std::string top = fmt::format("blobs/{}/", algorithm);
    const Listing shards = TRY(list(top));
    for (const std::string& shard : shards.folders) {
      const Listing listing = TRY(list(top + shard + "/"));
      for (const std::string& name : listing.files) {
        auto digest = ContentDigest::parse(algorithm, name);
        struct stat status = {};
        if (!digest || ::fstatat(root_.get(), (top + shard + "/" + name).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        found.push_back({std::move(*digest), static_cast<uint64_t>(status.st_size), status.st_mtim.tv_sec});
      }
    }
  }
  return found;
}

}  // namespace kist::registry_server

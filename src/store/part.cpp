#include "store/part.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "os/files.h"
#include "store/layout.h"
#include "store/object_files.h"

namespace kist::store {
namespace {

constexpr size_t kReadBytes = 256u << 10;

// A lock on the file keeps others out.
class FilePart final : public PartWriter {
 public:
  FilePart(ObjectFiles files, std::string path, os::Fd fd, uint64_t kept_bytes, uint32_t mode)
      : files_(std::move(files)), path_(std::move(path)), fd_(std::move(fd)), kept_bytes_(kept_bytes), mode_(mode) {}
  ~FilePart() override {
    if (size_bytes_ == 0 && kept_bytes_ == 0) discard();
  }

  uint64_t kept_bytes() const override { return kept_bytes_; }

  Result<std::string_view> read_kept() override {
    buffer_.resize(kReadBytes);
    while (true) {
      const ssize_t got = ::read(fd_.get(), buffer_.data(), std::min<uint64_t>(buffer_.size(), kept_bytes_ - size_bytes_));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Error::from_errno(errno, "read '{}'", printable(path_));
      if (got == 0 && size_bytes_ < kept_bytes_) return Error(Code::corrupt, "'{}' became shorter", printable(path_));
      const std::string_view piece(buffer_.data(), static_cast<size_t>(got));
      hasher_.update(piece);
      size_bytes_ += piece.size();
      return piece;
    }
  }

  Result<void> write(std::string_view bytes) override {
    KIST_ASSERT(size_bytes_ >= kept_bytes_);
    hasher_.update(bytes);
    size_bytes_ += bytes.size();
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd_.get(), bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) {
        const int err = errno;
        discard();  // On a full disk what nobody can use is in the way.
        return disk_error(err, files_.home(), "write an object");
      }
      bytes.remove_prefix(static_cast<size_t>(put));
    }
    return {};
  }

  Result<Object> finish() override {
    const Object object{.digest = hasher_.finish(), .size_bytes = size_bytes_};
    // Until it has its name, nobody else may begin with what is at its path.
    const os::Fd lock(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
    TRY(files_.adopt(path_, std::move(fd_), object, mode_));
    path_.clear();
    return object;
  }

  void discard() override {
    if (!path_.empty()) ::unlink(path_.c_str());
    path_.clear();
  }

 private:
  ObjectFiles files_;
  std::string path_;  // Empty: it is not there any more.
  os::Fd fd_;
  const uint64_t kept_bytes_;
  const uint32_t mode_;
  oci::Sha256 hasher_;
  uint64_t size_bytes_ = 0;
  std::string buffer_;
};

}  // namespace

// Parts of packages lie there, too, and gc looks there for what is old.
Result<std::unique_ptr<PartWriter>> begin_part(const Store& store, const oci::Digest& object, uint32_t mode) {
  const std::string folder = fmt::format("{}/{}/partial", store.home(), kCacheFolder);
  TRY(os::make_folders(folder));
  const std::string path = fmt::format("{}/object-{}", folder, object.hex());
  while (true) {
    auto lock = TRY(os::FileLock::try_acquire(path, os::FileLock::Mode::exclusive));
    if (!lock) return std::unique_ptr<PartWriter>();
    os::Fd fd = std::move(*lock).release();
    struct stat open = {};
    struct stat named = {};
    if (::fstat(fd.get(), &open) != 0) return Error::from_errno(errno, "stat '{}'", printable(path));
    if (::lstat(path.c_str(), &named) != 0) continue;  // Who had it before has finished it.
    if (!S_ISREG(named.st_mode) || named.st_nlink != 1) return std::unique_ptr<PartWriter>();
    if (named.st_ino != open.st_ino || named.st_dev != open.st_dev) continue;
    ObjectFiles files = TRY(ObjectFiles::open(store.home(), {}, {}));
    return std::unique_ptr<PartWriter>(
        std::make_unique<FilePart>(std::move(files), path, std::move(fd), static_cast<uint64_t>(open.st_size), mode));
  }
}

}  // namespace kist::store

#include "http/part_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "os/files.h"

namespace kist::http {
namespace {

// Small enough that the bytes are still in the cache of the core when they are written after having
// been hashed, large enough that the calls do not count.
constexpr size_t kBlockBytes = 256 << 10;
constexpr uint64_t kValidatorLimitBytes = 4096;

// The digest of a whole open file, or unavailable when `stop` was set meanwhile.
Result<uint64_t> hash_file(const os::Fd& fd, oci::Sha256& hasher, const std::atomic<bool>& stop) {
  std::vector<char> buffer(kBlockBytes);
  uint64_t total = 0;
  while (true) {
    if (stop) return Error(Code::unavailable, "stopped");
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read");
    if (got == 0) return total;
    hasher.update(std::string_view(buffer.data(), static_cast<size_t>(got)));
    total += static_cast<uint64_t>(got);
  }
}

// Whether `path` still names the file that `fd` has open: its last holder may have renamed it.
bool is_same_file(const os::Fd& fd, const std::string& path) {
  struct stat open = {};
  struct stat named = {};
  return ::fstat(fd.get(), &open) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

Result<os::Fd> lock_part(const std::string& path) {
  while (true) {
    auto lock = TRY(os::FileLock::try_acquire(path, os::FileLock::Mode::exclusive));
    if (!lock) return os::Fd();
    os::Fd fd = std::move(*lock).release();
    if (is_same_file(fd, path)) return fd;
  }
}

}  // namespace

PartFile::PartFile(const Download& file, os::Fd fd)
    : file_(&file),
      part_path_(file.path + ".part"),
      validator_path_(part_path_ + ".etag"),
      fd_(std::move(fd)) {}

Result<std::optional<PartFile>> PartFile::open(const Download& file,
                                               const std::atomic<bool>& stop) {
  os::Fd fd = TRY(lock_part(file.path + ".part"));
  if (!fd.is_open()) return std::optional<PartFile>();
  PartFile part(file, std::move(fd));
  part.there_ = TRY(part.already_there(stop));
  if (part.there_) {
    part.discard();
  } else {
    TRY(part.hash_kept(stop), "reading '{}'", printable(part.part_path_));
  }
  return std::optional<PartFile>(std::move(part));
}

Result<bool> PartFile::already_there(const std::atomic<bool>& stop) const {
  if (!file_->sha256 || !os::exists(file_->path)) return false;
  const os::Fd fd = TRY(os::open_file(file_->path, O_RDONLY));
  oci::Sha256 hasher;
  TRY(hash_file(fd, hasher, stop), "reading '{}'", printable(file_->path));
  return hasher.finish() == *file_->sha256;
}

Result<void> PartFile::hash_kept(const std::atomic<bool>& stop) {
  if (auto kept = os::read_file(validator_path_, kValidatorLimitBytes)) validator_ = *kept;
  struct stat st = {};
  if (::fstat(fd_.get(), &st) != 0) return Error::from_errno(errno, "stat");
  if (st.st_size == 0) return {};
  const auto length = static_cast<uint64_t>(st.st_size);
  const bool too_long = length > file_->size_bytes.value_or(file_->limit_bytes);
  const bool unprovable = !file_->sha256 && validator_.empty();
  if (too_long || unprovable) return restart();
  size_bytes_ = TRY(hash_file(fd_, hasher_, stop));
  continued_ = true;
  return {};
}

Result<void> PartFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view block = bytes.substr(0, kBlockBytes);
    hasher_.update(block);
    TRY(os::write_all(fd_, block), "writing '{}'", printable(part_path_));
    size_bytes_ += block.size();
    bytes.remove_prefix(block.size());
  }
  return {};
}

Result<void> PartFile::restart() {
  if (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0)
    return Error::from_errno(errno, "truncate '{}'", printable(part_path_));
  hasher_ = oci::Sha256();
  size_bytes_ = 0;
  continued_ = false;
  return set_validator("");
}

Result<void> PartFile::set_validator(std::string validator) {
  if (validator == validator_) return {};
  validator_ = std::move(validator);
  if (validator_.size() > kValidatorLimitBytes) validator_.clear();
  if (validator_.empty()) {
    ::unlink(validator_path_.c_str());
    return {};
  }
  return os::write_file_atomically(validator_path_, validator_);
}

Result<void> PartFile::check() const {
  if (file_->size_bytes && size_bytes_ != *file_->size_bytes) {
    return Error(Code::corrupt, "{} has {} bytes, want {}", printable(file_->label), size_bytes_,
                 *file_->size_bytes);
  }
  if (file_->sha256 && *digest_ != *file_->sha256) {
    return Error(Code::corrupt, "{} has {}, want {}", printable(file_->label), digest_->string(),
                 file_->sha256->string());
  }
  return {};
}

Result<void> PartFile::finish() {
  digest_ = hasher_.finish();
  if (auto checked = check(); !checked) {
    discard();
    return checked;
  }
  if (::rename(part_path_.c_str(), file_->path.c_str()) != 0)
    return Error::from_errno(errno, "rename '{}'", printable(part_path_));
  ::unlink(validator_path_.c_str());
  return {};
}

void PartFile::discard() {
  gone_ = true;
  ::unlink(part_path_.c_str());
  ::unlink(validator_path_.c_str());
}

}  // namespace kist::http

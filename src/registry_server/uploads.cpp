#include "registry_server/uploads.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "base/text.h"
#include "os/files.h"

namespace kist::registry_server {
namespace {

// An id is 32 random digits and 16 that tie it to its repository, so that no file has to say whose an
// upload is, and an id that was seen in one repository opens nothing in another.
constexpr size_t kRandomDigits = 32;
constexpr size_t kDigits = 48;

std::string tied_id(std::string_view random, const std::string& repository) {
  const auto digest = Hasher::of(Algorithm::sha256, fmt::format("{}\n{}", random, repository));
  return fmt::format("{}{}", random, digest.hex().substr(0, kDigits - kRandomDigits));
}

bool is_id(std::string_view id) {
  return id.size() == kDigits && id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<std::string> random_digits() {
  unsigned char raw[kRandomDigits / 2];
  if (::RAND_bytes(raw, sizeof raw) != 1) return Error(Code::unavailable, "no random numbers");
  std::string out;
  for (const unsigned char byte : raw) out += fmt::format("{:02x}", byte);
  return out;
}

}  // namespace

Upload::Upload(std::string id, std::string path, os::Fd file)
    : id_(std::move(id)), path_(std::move(path)), file_(std::move(file)), hasher_(Algorithm::sha256),
      used_(std::chrono::steady_clock::now()) {}

Result<void> Upload::append(std::string_view bytes) {
  std::string_view rest = bytes;
  uint64_t at = size_bytes_;
  while (!rest.empty()) {
    const ssize_t written = ::pwrite(file_.get(), rest.data(), rest.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      auto error = Error::from_errno(errno, "write an upload");
      // What the client is told that we have, and what the hash knows, is what the file holds.
      (void)::ftruncate(file_.get(), static_cast<off_t>(size_bytes_));
      return error;
    }
    rest.remove_prefix(static_cast<size_t>(written));
    at += static_cast<uint64_t>(written);
  }
  hasher_.update(bytes);
  size_bytes_ = at;
  return {};
}

Result<void> Upload::rehash(Algorithm algorithm) {
  Hasher fresh(algorithm);
  std::string buffer(256 << 10, '\0');
  for (uint64_t done = 0; done < size_bytes_;) {
    const ssize_t got = ::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read an upload");
    if (got == 0) return Error(Code::corrupt, "an upload has become shorter");
    fresh.update({buffer.data(), static_cast<size_t>(got)});
    done += static_cast<uint64_t>(got);
  }
  hasher_ = std::move(fresh);
  return {};
}

Result<os::Fd> Upload::reader() const { return os::open_file(path_, O_RDONLY | O_NOFOLLOW); }

Result<StagedFile> Upload::finish(const ContentDigest& digest) {
  StagedFile staged(path_, std::move(file_), size_bytes_);
  if (digest.algorithm() != hasher_.algorithm()) {
    file_ = os::Fd(::dup(staged.file().get()));
    TRY(rehash(digest.algorithm()));
  }
  const ContentDigest found = hasher_.finish();
  if (found != digest)
    return Error(Code::corrupt, "the {} bytes have the digest {}, not {}", size_bytes_, found.string(), digest.string());
  return staged;
}

Result<std::unique_ptr<Upload>> Uploads::begin(const std::string& repository, Algorithm algorithm) {
  const std::string digits = TRY(random_digits());
  const std::string id = tied_id(digits, repository);
  {
    const std::scoped_lock lock(mutex_);
    if (open_.size() >= options_.limit) return Error(Code::unavailable, "{} uploads are open, more are not taken", open_.size());
    open_.emplace(id, nullptr);
  }
  auto file = os::open_file(path_of(id), O_RDWR | O_CREAT | O_EXCL, 0644);
  if (!file) {
    forget(id);
    return std::move(file).error();
  }
  auto upload = std::make_unique<Upload>(id, path_of(id), std::move(*file));
  if (algorithm != Algorithm::sha256) upload->hasher_ = Hasher(algorithm);
  return upload;
}

bool Uploads::is_known(std::string_view id) const {
  const std::scoped_lock lock(mutex_);
  return open_.find(id) != open_.end();
}

Result<std::unique_ptr<Upload>> Uploads::take(const std::string& repository, std::string_view id) {
  std::unique_ptr<Upload> none;
  if (!is_id(id) || tied_id(id.substr(0, kRandomDigits), repository) != id) return none;
  {
    const std::scoped_lock lock(mutex_);
    const auto at = open_.find(id);
    if (at != open_.end() && at->second == nullptr) return Error(Code::exists, "another request is busy with this upload");
    if (at != open_.end()) return std::move(at->second);
    if (open_.size() >= options_.limit) return Error(Code::unavailable, "{} uploads are open, more are not taken", open_.size());
    open_.emplace(id, nullptr);
  }
  auto file = os::open_file(path_of(id), O_RDWR | O_NOFOLLOW);
  struct stat status = {};
  if (!file || ::fstat(file->get(), &status) != 0) {
    forget(id);
    if (!file && file.error().code() != Code::not_found) return std::move(file).error();
    return none;
  }
  auto upload = std::make_unique<Upload>(std::string(id), path_of(id), std::move(*file));
  upload->size_bytes_ = static_cast<uint64_t>(status.st_size);
  if (auto hashed = upload->rehash(Algorithm::sha256); !hashed) {
    forget(id);
    return std::move(hashed).error();
  }
  return upload;
}

void Uploads::put_back(std::unique_ptr<Upload> upload) {
  upload->used_ = std::chrono::steady_clock::now();
  const std::scoped_lock lock(mutex_);
  std::string id = upload->id();
  open_[std::move(id)] = std::move(upload);
}

void Uploads::forget(std::string_view id) {
  const std::scoped_lock lock(mutex_);
  if (const auto at = open_.find(id); at != open_.end()) open_.erase(at);
}

void Uploads::cancel(std::unique_ptr<Upload> upload) {
  ::unlink(upload->path_.c_str());
  forget(upload->id());
}

void Uploads::expire() {
  const auto now = std::chrono::steady_clock::now();
  const std::scoped_lock lock(mutex_);
  for (auto at = open_.begin(); at != open_.end();) {
    if (at->second != nullptr && now - at->second->used_ > options_.expiry) {
      ::unlink(at->second->path_.c_str());
      at = open_.erase(at);
    } else {
      ++at;
    }
  }
  // Of earlier processes.
  const auto names = os::list_folder(options_.folder);
  if (!names) return;
  for (const std::string& name : *names) {
    struct stat status = {};
    const std::string path = path_of(name);
    if (!is_id(name) || open_.find(name) != open_.end() || ::lstat(path.c_str(), &status) != 0) continue;
    if (::time(nullptr) - status.st_mtim.tv_sec >= options_.expiry.count()) ::unlink(path.c_str());
  }
}

size_t Uploads::size() const {
  const std::scoped_lock lock(mutex_);
  return open_.size();
}

}  // namespace kist::registry_server

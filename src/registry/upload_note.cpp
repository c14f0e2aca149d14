#include "registry/upload_note.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "os/files.h"

namespace kist::registry {
namespace {

constexpr std::string_view kFirstLine = "kist upload 1\n";
constexpr std::string_view kLastLine = "end\n";
constexpr uint64_t kMostBytes = 64 << 10;

bool is_named(const os::Fd& fd, const std::string& path) {
  struct stat open = {};
  struct stat named = {};
  return ::fstat(fd.get(), &open) == 0 && ::lstat(path.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

}  // namespace

std::optional<UploadNote> UploadNote::open(const std::string& folder, std::string_view place, const oci::Digest& digest) {
  if (folder.empty() || !os::make_folders(folder)) return std::nullopt;
  const std::string key = oci::Sha256::of(fmt::format("{}@{}", place, digest.string())).hex();
  const std::string path = os::join(folder, "upload-" + key);
  auto lock = os::FileLock::try_acquire(path, os::FileLock::Mode::exclusive);
  if (!lock || !*lock) return std::nullopt;
  UploadNote note(path, std::move(**lock).release());
  // Who had it a moment ago has ended that upload.
  if (!is_named(note.fd_, path) || ::fchmod(note.fd_.get(), 0600) != 0) return std::nullopt;
  const auto text = os::read_all(note.fd_, kMostBytes);
  if (!text || !text->starts_with(kFirstLine) || !text->ends_with(kLastLine)) return note;
  const auto all = lines(*text);
  if (all.size() == 3) note.location_ = all[1];
  return note;
}

void UploadNote::write(std::string_view location) {
  location_ = location;
  // In place, since the lock is on the file. Half of it counts as nothing.
  if (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0) return;
  if (location.find('\n') != std::string_view::npos) return;
  (void)os::write_all(fd_, fmt::format("{}{}\n{}", kFirstLine, location, kLastLine));
}

void UploadNote::forget() {
  location_.clear();
  ::unlink(path_.c_str());
}

}  // namespace kist::registry

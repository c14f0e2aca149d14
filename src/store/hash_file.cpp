#include "store/hash_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace kist::store {

Result<HashedFile> hash_file(const os::Fd& fd) {
  constexpr int64_t kMaxBufferBytes = 1 << 20;
  struct stat st = {};
  if (::fstat(fd.get(), &st) != 0) return Error::from_errno(errno, "stat");
  // Most files are small: no larger buffer than it takes, and not cleared.
  const auto size = static_cast<size_t>(std::clamp<int64_t>(st.st_size + 1, 512, kMaxBufferBytes));
  const std::unique_ptr<char[]> buffer(new char[size]);
  oci::Sha256 hasher;
  uint64_t total = 0;
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer.get(), size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read");
    if (got == 0) return HashedFile{.digest = hasher.finish(), .size_bytes = total};
    hasher.update(std::string_view(buffer.get(), static_cast<size_t>(got)));
    total += static_cast<uint64_t>(got);
  }
}

}  // namespace kist::store

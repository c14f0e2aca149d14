#include "os/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "base/text.h"
#include "os/files.h"

namespace kist::os {

Result<MappedFile> MappedFile::open(const std::string& path, size_t limit_bytes) {
  const Fd fd = TRY(open_file(path, O_RDONLY));
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return Error::from_errno(errno, "stat '{}'", path);
  if (!S_ISREG(info.st_mode)) return Error(Code::invalid, "'{}' is not a regular file", path);
  const auto size = static_cast<size_t>(info.st_size);
  if (size > limit_bytes)
    return Error(Code::invalid, "'{}' has {}, more than {}", path, human_bytes(size),
                 human_bytes(limit_bytes));
  if (size == 0) return MappedFile(std::string_view());  // An empty mapping is EINVAL.
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (at == MAP_FAILED) return Error::from_errno(errno, "map '{}'", path);
  return MappedFile(std::string_view(static_cast<const char*>(at), size));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

}  // namespace kist::os

// A file as bytes in memory, without reading it first.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace kist::os {

/// Owns a private read-only mapping of a regular file. Only for files that nobody cuts short while
/// they are mapped (finished downloads, objects): reading past a new end is SIGBUS.
class MappedFile {
 public:
  /// Errors: those of open, invalid (not a regular file, or larger than `limit_bytes`).
  static Result<MappedFile> open(const std::string& path, size_t limit_bytes);
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    MappedFile taken(std::move(other));
    std::swap(bytes_, taken.bytes_);
    return *this;
  }
  ~MappedFile();
  std::string_view bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::string_view bytes) : bytes_(bytes) {}
  std::string_view bytes_;
};

}  // namespace kist::os

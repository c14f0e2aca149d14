// Writes zips whose bytes depend on names, modes and contents alone: stored, not compressed, so that
// no version of a compressor shows in them; dated 1980-01-01; nothing of the machine.
//
//   ZipWriter zip = TRY(ZipWriter::create(path));
//   TRY(zip.begin_file({.name = "a.py", .mode = 0644, .size_bytes = 3, .crc = crc}));
//   TRY(zip.write("x=1"));
//   TRY(std::move(zip).finish());
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "os/fd.h"

namespace kist::archive {

/// One thread at a time. The caller gives names in the order in which they shall stand. At most
/// 65,534 entries and 4 GB, the format's limits without zip64.
class ZipWriter {
 public:
  struct File {
    std::string name;
    uint32_t mode = 0644;
    uint64_t size_bytes = 0;  // Exactly this much has to be written then.
    uint32_t crc = 0;         // Of the content; not checked here.
  };

  /// Replaces what is there. Not durable, not atomic: write to a temporary name.
  static Result<ZipWriter> create(const std::string& path);
  /// Errors: unsupported (above the format's limits), those of writing.
  Result<void> begin_file(const File& file);
  Result<void> write(std::string_view bytes);
  Result<void> finish() &&;

 private:
  explicit ZipWriter(os::Fd fd) : fd_(std::move(fd)) {}
  Result<void> put(std::string_view bytes);

  os::Fd fd_;
  std::string buffer_;  // Not yet written: small pieces would each be a system call.
  std::string directory_;
  uint64_t offset_ = 0;
  uint64_t left_bytes_ = 0;  // Of the current file.
  uint64_t count_ = 0;
};

}  // namespace kist::archive

#include "archive/zip_writer.h"

#include <fcntl.h>

#include "archive/zip_format.h"
#include "base/text.h"
#include "os/files.h"

namespace kist::archive {

using namespace zip;

namespace {

constexpr size_t kBufferBytes = 256u << 10;
constexpr uint32_t kDosTime = 0x00210000;  // 1980-01-01 00:00:00, the earliest there is.
constexpr uint16_t kUtf8Names = 1 << 11;
constexpr uint16_t kVersion = 20;
constexpr uint16_t kMadeOnUnix = 3 << 8 | kVersion;
constexpr uint32_t kRegularFile = 0100000;

void put16(std::string& out, uint64_t value) {
  out += static_cast<char>(value & 0xff);
  out += static_cast<char>(value >> 8 & 0xff);
}

void put32(std::string& out, uint64_t value) {
  put16(out, value & 0xffff);
  put16(out, value >> 16 & 0xffff);
}

// What local header and directory entry have in common, from the flags to the name's length.
void put_common(std::string& out, const ZipWriter::File& file) {
  put16(out, kUtf8Names);
  put16(out, kStored);
  put32(out, kDosTime);
  put32(out, file.crc);
  put32(out, file.size_bytes);
  put32(out, file.size_bytes);
  put16(out, file.name.size());
  put16(out, 0);  // No extra field.
}

}  // namespace

Result<ZipWriter> ZipWriter::create(const std::string& path) {
  os::Fd fd = TRY(os::open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  return ZipWriter(std::move(fd));
}

Result<void> ZipWriter::put(std::string_view bytes) {
  offset_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBufferBytes) {
    TRY(os::write_all(fd_, buffer_));
    buffer_.clear();
  }
  if (bytes.size() > kBufferBytes) return os::write_all(fd_, bytes);
  buffer_ += bytes;
  return {};
}

Result<void> ZipWriter::begin_file(const File& file) {
  KIST_ASSERT(left_bytes_ == 0);  // The file before was not written whole.
  if (file.name.size() > kMax16 || ++count_ >= kMax16 ||
      offset_ + directory_.size() + file.size_bytes + (1u << 20) > kMax32)
    return Error(Code::unsupported, "'{}' makes the zip larger than 65534 entries or 4 GB",
                 printable(file.name));
  put32(directory_, kCentralSignature);
  put16(directory_, kMadeOnUnix);
  put16(directory_, kVersion);
  put_common(directory_, file);
  put16(directory_, 0);  // No comment.
  put16(directory_, 0);  // The only disk.
  put16(directory_, 0);
  put32(directory_, (kRegularFile | file.mode) << 16);
  put32(directory_, offset_);
  directory_ += file.name;

  std::string header;
  put32(header, kLocalSignature);
  put16(header, kVersion);
  put_common(header, file);
  left_bytes_ = file.size_bytes;
  return put(header + file.name);
}

Result<void> ZipWriter::write(std::string_view bytes) {
  KIST_ASSERT(bytes.size() <= left_bytes_);
  left_bytes_ -= bytes.size();
  return put(bytes);
}

Result<void> ZipWriter::finish() && {
  KIST_ASSERT(left_bytes_ == 0);
  std::string end;
  put32(end, kEndSignature);
  put32(end, 0);  // The only disk.
  put16(end, count_);
  put16(end, count_);
  put32(end, directory_.size());
  put32(end, offset_);
  put16(end, 0);
  TRY(put(directory_));
  TRY(put(end));
  TRY(os::write_all(fd_, buffer_));
  return std::move(fd_).close();
}

}  // namespace kist::archive

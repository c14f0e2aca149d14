#include "debian/raw_stream.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "base/text.h"

namespace kist::debian {
namespace {

// libarchive's raw format takes a stream of nothing for an error, and a truncated one for nothing.
bool is_empty_stream(std::string_view bytes, bool xz) {
  constexpr size_t kEmptyXz = 32;       // Header, index of no blocks, footer (xz file format, 2.1).
  constexpr size_t kMaxEmptyGzip = 64;  // RFC 1952: a header, perhaps with a name, and a trailer.
  if (xz) return bytes.size() == kEmptyXz;
  return bytes.size() <= kMaxEmptyGzip &&
         bytes.ends_with(std::string_view("\0\0\0\0\0\0\0\0", 8));
}

}  // namespace

Result<std::string> decompress_whole(std::string_view bytes, uint64_t limit_bytes) {
  const std::unique_ptr<::archive, int (*)(::archive*)> handle(::archive_read_new(),
                                                               ::archive_read_free);
  const bool xz = bytes.starts_with(std::string_view("\xfd"
                                                     "7zXZ\0",
                                                     6));
  if (!xz && !bytes.starts_with("\x1f\x8b"))
    return Error(Code::corrupt, "neither xz nor gzip, it starts with '{}'",
                 printable(bytes.substr(0, 6)));
  if (is_empty_stream(bytes, xz)) return std::string();  // An index without packages.
  ::archive_read_support_format_raw(handle.get());
  ::archive_read_append_filter(handle.get(), xz ? ARCHIVE_FILTER_XZ : ARCHIVE_FILTER_GZIP);
  ::archive_entry* entry = nullptr;
  std::string out;
  const auto failed = [&] {
    const char* text = ::archive_error_string(handle.get());
    return Error(Code::corrupt, "damaged stream: {}", text == nullptr ? "?" : printable(text));
  };
  if (::archive_read_open_memory(handle.get(), bytes.data(), bytes.size()) != ARCHIVE_OK ||
      ::archive_read_next_header(handle.get(), &entry) != ARCHIVE_OK)
    return failed();
  while (true) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int status = ::archive_read_data_block(handle.get(), &data, &size, &offset);
    if (status == ARCHIVE_EOF) return out;
    if (status != ARCHIVE_OK) return failed();
    if (out.size() + size > limit_bytes)
      return Error(Code::invalid, "unpacks to more than {}", human_bytes(limit_bytes));
    out.append(static_cast<const char*>(data), size);
  }
}

}  // namespace kist::debian

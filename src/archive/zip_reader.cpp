// Reading one entry of a zip. Small entries, which are nearly all of a wheel's, take one pread and
// one call of libdeflate into buffers that stay in the processor's cache (measured: twice as fast
// as zlib); large ones are streamed through zlib, so that memory does not depend on them.
#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>

#include "archive/zip.h"
#include "archive/zip_format.h"
#include "base/text.h"

namespace kist::archive {

using namespace zip;

namespace {

constexpr size_t kChunkBytes = 512u << 10;
// Read with the header in the same call: room for extra fields, and for a data descriptor.
constexpr size_t kExtraGuess = 128;
constexpr size_t kDescriptorMax = 24;

// Grows in steps and never clears: what it holds is overwritten before it is read.
class Buffer {
 public:
  char* reserve(size_t size) {
    if (size > size_) {
      size_ = std::max(size, std::min<size_t>(size_ * 2, ZipFile::kWholeBytes));
      data_.reset();  // First, so that there are never two.
      data_ = std::make_unique_for_overwrite<char[]>(size_);
    }
    return data_.get();
  }

 private:
  std::unique_ptr<char[]> data_;
  size_t size_ = 0;
};

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};

// A raw deflate stream; made on first use, since most archives have no large entry.
class Inflater {
 public:
  Inflater() { KIST_ASSERT(::inflateInit2(&stream_, -MAX_WBITS) == Z_OK); }
  ~Inflater() { ::inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream& restart() {
    KIST_ASSERT(::inflateReset(&stream_) == Z_OK);
    stream_.avail_in = 0;
    return stream_;
  }

 private:
  z_stream stream_ = {};
};

uint32_t crc_of(uint32_t crc, std::string_view bytes) {
  return libdeflate_crc32(crc, bytes.data(), bytes.size());
}

}  // namespace

struct ZipScratch::State {
  Buffer packed;
  Buffer plain;
  std::unique_ptr<libdeflate_decompressor, FreeDecompressor> whole{
      libdeflate_alloc_decompressor()};
  std::unique_ptr<Inflater> streaming;
};

ZipScratch::ZipScratch() : state_(std::make_unique<State>()) {}
ZipScratch::~ZipScratch() = default;
ZipScratch::ZipScratch(ZipScratch&&) noexcept = default;
ZipScratch& ZipScratch::operator=(ZipScratch&&) noexcept = default;

// Reads one entry; the errors name it, so that callers need not.
class ZipReader {
 public:
  ZipReader(const ZipFile& file, const ZipEntry& entry, ZipScratch& scratch)
      : fd_(file.fd_), entry_(entry), scratch_(*scratch.state_) {}

  Result<std::string_view> whole() {
    TRY(locate(entry_.packed_bytes));
    const std::string_view packed(data_, entry_.packed_bytes);
    std::string_view plain = packed;
    if (entry_.method == kDeflate) plain = TRY(inflate_whole(packed));
    TRY(check_crc(crc_of(0, plain)));
    return plain;
  }

  Result<void> chunks(const std::function<Result<void>(std::string_view)>& each) {
    TRY(locate(0));
    return entry_.method == kStored ? stored_chunks(each) : inflated_chunks(each);
  }

 private:
  template <class... A>
  Error corrupt(fmt::format_string<A...> message, A&&... args) const {
    return Error(Code::corrupt, "entry '{}': {}", printable(entry_.raw_name),
                 fmt::format(message, std::forward<A>(args)...));
  }

  // Reads the local header and `content_bytes` of content after it, and sets data_offset_ and data_.
  Result<void> locate(uint64_t content_bytes) {
    const size_t name_bytes = entry_.raw_name.size();
    const uint64_t room = entry_.end_limit - entry_.header_offset;
    const size_t fixed = kLocalBytes + name_bytes;
    size_t have = static_cast<size_t>(
        std::min<uint64_t>(room, fixed + kExtraGuess + content_bytes + kDescriptorMax));
    char* header = scratch_.packed.reserve(have);
    TRY(read_exactly(fd_, entry_.header_offset, header, have));
    if (u32(header) != kLocalSignature)
      return corrupt("no local header at offset {}", entry_.header_offset);
    const size_t extra_bytes = u16(header + 28);
    const uint64_t header_bytes = fixed + extra_bytes;
    if (u16(header + 26) != name_bytes ||
        std::string_view(header + kLocalBytes, name_bytes) != entry_.raw_name)
      return corrupt("its local header has another name");
    if (header_bytes + entry_.packed_bytes > room)
      return corrupt("its content overlaps what follows it");
    if (header_bytes + content_bytes > have) {
      have = static_cast<size_t>(header_bytes + content_bytes);
      header = scratch_.packed.reserve(have);
      TRY(read_exactly(fd_, entry_.header_offset, header, have));
    }
    data_offset_ = entry_.header_offset + header_bytes;
    data_ = header + header_bytes;
    return check_local(header, std::string_view(header + fixed, extra_bytes));
  }

  Result<void> check_local(const char* header, std::string_view extra) {
    const uint16_t flags = u16(header + 6);
    constexpr uint16_t kMustAgree = kFlagEncrypted | kFlagPatched | kFlagStrongEncryption;
    if (u16(header + 8) != entry_.method || (flags & kMustAgree) != (entry_.flags & kMustAgree))
      return corrupt("its local header has method {} and flags {:#x}, the directory {} and {:#x}",
                     u16(header + 8), flags, entry_.method, entry_.flags);
    const uint32_t crc = u32(header + 14);
    uint64_t packed = u32(header + 18);
    uint64_t size = u32(header + 22);
    const auto wide = extra_field(extra, kExtraZip64);
    if (wide && wide->size() >= 16 && (packed == kMax32 || size == kMax32)) {
      // In a local header both stand in the field, whichever is too large.
      size = u64(wide->data());
      packed = u64(wide->data() + 8);
    }
    const bool deferred = (flags & kFlagDescriptor) != 0;
    const auto agrees = [&](uint64_t here, uint64_t there) {
      return here == there || (deferred && here == 0);
    };
    if (!agrees(crc, entry_.crc) || !agrees(packed, entry_.packed_bytes) ||
        !agrees(size, entry_.size_bytes))
      return corrupt("its local header says CRC {:08x}, {} and {} bytes, the directory {:08x}, {} "
                     "and {}",
                     crc, packed, size, entry_.crc, entry_.packed_bytes, entry_.size_bytes);
    if (deferred) TRY(check_descriptor());
    return {};
  }

  // The record behind the content has four forms: with a signature or without, and with sizes of 4
  // or 8 bytes. No form says which it is; all values are known, so one has to fit.
  Result<void> check_descriptor() const {
    const uint64_t at = data_offset_ + entry_.packed_bytes;
    char bytes[kDescriptorMax] = {};
    const size_t have =
        static_cast<size_t>(std::min<uint64_t>(sizeof bytes, entry_.end_limit - at));
    TRY(read_exactly(fd_, at, bytes, have));
    for (const size_t skip : {size_t{4}, size_t{0}}) {
      if (skip == 4 && (have < 4 || u32(bytes) != kDescriptorSignature)) continue;
      const char* body = bytes + skip;
      if (have < skip + 12 || u32(body) != entry_.crc) continue;
      if (u32(body + 4) == entry_.packed_bytes && u32(body + 8) == entry_.size_bytes) return {};
      if (have >= skip + 20 && u64(body + 4) == entry_.packed_bytes &&
          u64(body + 12) == entry_.size_bytes)
        return {};
    }
    return corrupt("its data descriptor disagrees with the directory");
  }

  Result<std::string_view> inflate_whole(std::string_view packed) {
    const size_t size = static_cast<size_t>(entry_.size_bytes);
    char* plain = scratch_.plain.reserve(std::max<size_t>(size, 1));
    size_t used = 0;
    size_t made = 0;
    const libdeflate_result result = libdeflate_deflate_decompress_ex(
        scratch_.whole.get(), packed.data(), packed.size(), plain, size, &used, &made);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) return longer();
    if (result != LIBDEFLATE_SUCCESS) return corrupt("its compressed data is damaged");
    TRY(check_ends(made, used));
    return std::string_view(plain, made);
  }

  Result<void> stored_chunks(const std::function<Result<void>(std::string_view)>& each) {
    char* buffer = scratch_.plain.reserve(kChunkBytes);
    uint32_t crc = 0;
    for (uint64_t done = 0; done < entry_.size_bytes;) {
      const size_t size =
          static_cast<size_t>(std::min<uint64_t>(kChunkBytes, entry_.size_bytes - done));
      TRY(read_exactly(fd_, data_offset_ + done, buffer, size));
      const std::string_view chunk(buffer, size);
      crc = crc_of(crc, chunk);
      TRY(each(chunk));
      done += size;
    }
    return check_crc(crc);
  }

  Result<void> inflated_chunks(const std::function<Result<void>(std::string_view)>& each) {
    if (scratch_.streaming == nullptr) scratch_.streaming = std::make_unique<Inflater>();
    z_stream& stream = scratch_.streaming->restart();
    char* packed = scratch_.packed.reserve(kChunkBytes);
    char* plain = scratch_.plain.reserve(kChunkBytes);
    uint64_t read = 0;
    uint64_t made = 0;
    uint32_t crc = 0;
    int status = Z_OK;
    while (status != Z_STREAM_END) {
      if (stream.avail_in == 0 && read < entry_.packed_bytes) {
        const size_t size =
            static_cast<size_t>(std::min<uint64_t>(kChunkBytes, entry_.packed_bytes - read));
        TRY(read_exactly(fd_, data_offset_ + read, packed, size));
        stream.next_in = reinterpret_cast<Bytef*>(packed);
        stream.avail_in = static_cast<uInt>(size);
        read += size;
      }
      stream.next_out = reinterpret_cast<Bytef*>(plain);
      stream.avail_out = static_cast<uInt>(kChunkBytes);
      status = ::inflate(&stream, Z_NO_FLUSH);
      // Z_BUF_ERROR: no progress, so the input ended inside the stream.
      if (status != Z_OK && status != Z_STREAM_END)
        return corrupt("its compressed data is damaged");
      const std::string_view chunk(plain, kChunkBytes - stream.avail_out);
      made += chunk.size();
      if (made > entry_.size_bytes) return longer();
      crc = crc_of(crc, chunk);
      if (!chunk.empty()) TRY(each(chunk));
    }
    TRY(check_ends(made, read - stream.avail_in));
    return check_crc(crc);
  }

  Error longer() const { return corrupt("its content is longer than {} bytes", entry_.size_bytes); }

  Result<void> check_ends(uint64_t made, uint64_t used) const {
    if (made != entry_.size_bytes)
      return corrupt("its content is {} bytes long, want {}", made, entry_.size_bytes);
    if (used != entry_.packed_bytes)
      return corrupt("its compressed data ends after {} bytes, want {}", used,
                     entry_.packed_bytes);
    return {};
  }

  Result<void> check_crc(uint32_t crc) const {
    if (crc != entry_.crc) return corrupt("its content has CRC {:08x}, want {:08x}", crc, entry_.crc);
    return {};
  }

  const os::Fd& fd_;
  const ZipEntry& entry_;
  ZipScratch::State& scratch_;
  uint64_t data_offset_ = 0;
  const char* data_ = nullptr;
};

namespace {

bool fits_in_memory(const ZipEntry& entry) {
  return entry.size_bytes <= ZipFile::kWholeBytes && entry.packed_bytes <= ZipFile::kWholeBytes;
}

}  // namespace

Result<std::string_view> ZipFile::read(const ZipEntry& entry, ZipScratch& scratch) const {
  if (entry.is_folder) return std::string_view();
  if (!fits_in_memory(entry))
    return Error(Code::invalid, "entry '{}': {} are more than can be read at once",
                 printable(entry.raw_name), human_bytes(std::max(entry.size_bytes,
                                                                 entry.packed_bytes)));
  return ZipReader(*this, entry, scratch).whole();
}

Result<void> ZipFile::read_chunks(
    const ZipEntry& entry, ZipScratch& scratch,
    const std::function<Result<void>(std::string_view)>& each) const {
  if (!fits_in_memory(entry)) return ZipReader(*this, entry, scratch).chunks(each);
  const std::string_view bytes = TRY(read(entry, scratch));
  return bytes.empty() ? Result<void>() : each(bytes);
}

}  // namespace kist::archive

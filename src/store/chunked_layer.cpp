// What a reader of zstd:chunked asks of the frames: that no frame has bytes of two files, or of a file and
// a header. So a run of headers is a frame (up to 4 MiB), and so is each chunk of a content. Chunks end where a rolling
// hash of the last 64 bytes says so (Gear: one shift, one addition, one table), hence behind an insertion
// the cuts are the old ones again.
#include "store/chunked_layer.h"

#include <zstd.h>

#include <array>
#include <optional>

#include "store/chunked_toc.h"
#include "store/crc64.h"
#include "store/tar_header.h"

namespace kist::store {
namespace {

constexpr size_t kMinChunkBytes = 512u << 10;
constexpr size_t kMaxChunkBytes = 4u << 20;
constexpr size_t kWindowBytes = 64;
constexpr uint64_t kCutMask = 0xfffff00000000000;  // 20 bits: 1 MiB beyond the least, on average.

constexpr std::array<uint64_t, 256> make_gear() {
  std::array<uint64_t, 256> out{};
  uint64_t state = 0;
  for (uint64_t& value : out) {  // splitmix64
    state += 0x9e3779b97f4a7c15;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    value = z ^ (z >> 31);
  }
  return out;
}

constexpr std::array<uint64_t, 256> kGear = make_gear();

// Takes a content's bytes and says when a chunk is whole.
class Cutter {
 public:
  /// How many of these bytes belong to the chunk at hand; is_cut() says whether it ends with them.
  size_t take(std::string_view bytes) {
    is_cut_ = false;
    for (size_t i = 0; i < bytes.size(); ++i) {
      ++length_;
      if (length_ + kWindowBytes <= kMinChunkBytes) {
        const size_t skip = std::min(bytes.size() - i - 1, kMinChunkBytes - kWindowBytes - length_);
        i += skip;
        length_ += skip;
        continue;
      }
      hash_ = (hash_ << 1) + kGear[static_cast<unsigned char>(bytes[i])];
      if (length_ < kMaxChunkBytes && (length_ < kMinChunkBytes || (hash_ & kCutMask) != 0)) continue;
      is_cut_ = true;
      hash_ = 0;
      length_ = 0;
      return i + 1;
    }
    return bytes.size();
  }

  bool is_cut() const { return is_cut_; }

 private:
  size_t length_ = 0;
  uint64_t hash_ = 0;
  bool is_cut_ = false;
};

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ::ZSTD_freeCCtx(context); }
};

// Frames one after the other, each compressed in one call: its bytes depend on nothing before it.
class Frames {
 public:
  Frames(int level, const Output& output) : output_(output), context_(::ZSTD_createCCtx()) {
    KIST_ASSERT(context_ != nullptr);
    KIST_ASSERT(::ZSTD_isError(::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level)) == 0);
  }

  Result<void> add(std::string_view bytes) {
    out_.resize(std::max(out_.size(), ::ZSTD_compressBound(bytes.size())));
    const size_t count = ::ZSTD_compress2(context_.get(), out_.data(), out_.size(), bytes.data(), bytes.size());
    KIST_ASSERT(::ZSTD_isError(count) == 0);
    return add_raw(std::string_view(out_).substr(0, count));
  }

  Result<void> add_raw(std::string_view frames) {
    offset_ += frames.size();
    return output_(frames);
  }

  uint64_t offset() const { return offset_; }

 private:
  const Output& output_;
  std::unique_ptr<ZSTD_CCtx, FreeContext> context_;
  std::string out_;
  uint64_t offset_ = 0;
};

class Writer {
 public:
  Writer(const Contents& contents, const Output& output, int level) : contents_(contents), frames_(level, output) {}

  /// Gives the layer a table of contents.
  void describe(int level) { toc_.emplace(level); }

  Result<void> add(const Entry& entry) {
    const std::string header = TRY(tar_header(entry));
    // Links and empty files without end must not need memory without end.
    if (headers_.size() >= kMaxChunkBytes) TRY(end_headers());
    add_segment(header);
    std::vector<Chunk> chunks;
    uint64_t crc = 0;
    if (entry.kind == Kind::file && entry.size_bytes > 0) {
      TRY(end_headers());
      TRY(add_content(entry, chunks, crc));
      padding_ = (kTarBlock - entry.size_bytes % kTarBlock) % kTarBlock;
    }
    if (toc_) toc_->add_entry(entry, chunks, crc);
    return {};
  }

  Result<ChunkedTar> finish() {
    add_segment(std::string(2 * kTarBlock, '\0'));
    TRY(end_headers());
    ChunkedTar out{.tar = {.diff_id = hasher_.finish(), .size_bytes = size_bytes_}, .annotations = {}};
    if (toc_) TRY(frames_.add_raw(toc_->finish(frames_.offset(), out.annotations)));
    return out;
  }

 private:
  void add_segment(std::string_view bytes) {
    const std::string segment = std::string(padding_, '\0') + std::string(bytes);
    padding_ = 0;
    see(segment);
    headers_ += segment;
    if (toc_) toc_->add_segment(segment);
  }

  Result<void> end_headers() {
    TRY(frames_.add(headers_));
    headers_.clear();
    return {};
  }

  Result<void> add_content(const Entry& entry, std::vector<Chunk>& chunks, uint64_t& crc) {
    Cutter cutter;
    chunk_.clear();
    const auto take = [&](std::string_view bytes) -> Result<void> {
      see(bytes);
      if (toc_) crc = crc64_iso(crc, bytes);
      while (!bytes.empty()) {
        const size_t count = cutter.take(bytes);
        chunk_ += bytes.substr(0, count);
        bytes.remove_prefix(count);
        if (cutter.is_cut()) TRY(end_chunk(chunks, entry));
      }
      return {};
    };
    TRY(contents_.read(entry, take));
    return chunk_.empty() ? Result<void>() : end_chunk(chunks, entry);
  }

  Result<void> end_chunk(std::vector<Chunk>& chunks, const Entry& entry) {
    const uint64_t offset = frames_.offset();
    TRY(frames_.add(chunk_));
    // The whole content's digest is known, and was compared while it was read.
    const bool is_all = chunk_.size() == entry.size_bytes;
    chunks.push_back({.offset = offset,
                      .end_offset = frames_.offset(),
                      .size_bytes = chunk_.size(),
                      .digest = is_all || !toc_ ? *entry.object : oci::Sha256::of(chunk_)});
    chunk_.clear();
    return {};
  }

  void see(std::string_view bytes) {
    hasher_.update(bytes);
    size_bytes_ += bytes.size();
  }

  const Contents& contents_;
  Frames frames_;
  std::optional<ChunkedToc> toc_;
  std::string headers_;  // Of the tar, since the last content.
  std::string chunk_;
  size_t padding_ = 0;  // That the last content still needs.
  oci::Sha256 hasher_;
  uint64_t size_bytes_ = 0;
};

}  // namespace

Result<ChunkedTar> write_chunked(const Tree& tree, const Contents& contents, const Output& output, int level) {
  Writer writer(contents, output, level);
  if (is_describable(tree)) writer.describe(level);
  for (const Entry& entry : tree.entries()) TRY(writer.add(entry));
  return writer.finish();
}

}  // namespace kist::store

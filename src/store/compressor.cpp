#include "store/compressor.h"

#include <libdeflate.h>
#include <zstd.h>

#include <algorithm>

#include "base/text.h"
#include "store/chunked_layer.h"

namespace kist::store {
namespace {

// What the compressor is fed with. It must not depend on how the tar happens to arrive, since the
// compressor's choices may depend on where its input was cut.
constexpr size_t kZstdFeedBytes = 128u << 10;
// A member of gzip each. Readers of gzip read all members; a member this long loses nothing.
constexpr size_t kGzipMemberBytes = 2u << 20;
constexpr int kMaxZstdLevel = 22;
constexpr int kMaxGzipLevel = 12;

/// Hands on pieces of one size, whatever the sizes that come in.
class Pieces {
 public:
  explicit Pieces(size_t bytes) : bytes_(bytes) { held_.reserve(bytes); }

  template <class Use>
  Result<void> write(std::string_view bytes, const Use& use) {
    while (!bytes.empty()) {
      const size_t count = std::min(bytes.size(), bytes_ - held_.size());
      held_ += bytes.substr(0, count);
      bytes.remove_prefix(count);
      if (held_.size() < bytes_) break;
      TRY(use(std::string_view(held_)));
      held_.clear();
    }
    return {};
  }

  std::string_view rest() const { return held_; }

 private:
  size_t bytes_;
  std::string held_;
};

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ::ZSTD_freeCCtx(context); }
};

class Zstd final : public Compressor {
 public:
  Zstd(int level, const Output& output)
      : output_(output), context_(::ZSTD_createCCtx()), feed_(kZstdFeedBytes) {
    KIST_ASSERT(context_ != nullptr);
    // One thread: with several the frame is cut differently. Layers are what runs in parallel.
    check(::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level));
    check(::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1));
    out_.resize(::ZSTD_CStreamOutSize());
  }

  Result<void> write(std::string_view bytes) override {
    return feed_.write(bytes, [this](std::string_view piece) { return compress(piece, ZSTD_e_continue); });
  }

  Result<void> finish() override { return compress(feed_.rest(), ZSTD_e_end); }

 private:
  static size_t check(size_t code) {
    KIST_ASSERT(::ZSTD_isError(code) == 0);
    return code;
  }

  Result<void> compress(std::string_view piece, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in = {piece.data(), piece.size(), 0};
    while (true) {
      ZSTD_outBuffer out = {out_.data(), out_.size(), 0};
      const size_t left = check(::ZSTD_compressStream2(context_.get(), &out, &in, directive));
      if (out.pos > 0) TRY(output_(std::string_view(out_.data(), out.pos)));
      if (directive == ZSTD_e_end ? left == 0 : in.pos == in.size) break;
    }
    return {};
  }

  const Output& output_;
  std::unique_ptr<ZSTD_CCtx, FreeZstd> context_;
  Pieces feed_;
  std::string out_;
};

struct FreeDeflate {
  void operator()(libdeflate_compressor* compressor) const { ::libdeflate_free_compressor(compressor); }
};

class Gzip final : public Compressor {
 public:
  Gzip(int level, const Output& output)
      : output_(output), compressor_(::libdeflate_alloc_compressor(level)), feed_(kGzipMemberBytes) {
    KIST_ASSERT(compressor_ != nullptr);
    out_.resize(::libdeflate_gzip_compress_bound(compressor_.get(), kGzipMemberBytes));
  }

  Result<void> write(std::string_view bytes) override {
    return feed_.write(bytes, [this](std::string_view piece) { return compress(piece); });
  }

  // A tar is never empty, so neither is what is left of one that ends at a member's end.
  Result<void> finish() override { return feed_.rest().empty() ? Result<void>() : compress(feed_.rest()); }

 private:
  Result<void> compress(std::string_view piece) {
    const size_t count = ::libdeflate_gzip_compress(compressor_.get(), piece.data(), piece.size(),
                                                    out_.data(), out_.size());
    KIST_ASSERT(count > 0);
    return output_(std::string_view(out_.data(), count));
  }

  const Output& output_;
  std::unique_ptr<libdeflate_compressor, FreeDeflate> compressor_;
  Pieces feed_;
  std::string out_;
};

class Plain final : public Compressor {
 public:
  explicit Plain(const Output& output) : output_(output) {}
  Result<void> write(std::string_view bytes) override { return output_(bytes); }
  Result<void> finish() override { return {}; }

 private:
  const Output& output_;
};

Error unknown(std::string_view text) {
  return Error(Code::invalid, "compression '{}' is not one of zstd[:1-22], zstd:chunked[:1-22], gzip[:1-12], none",
               printable(text))
      .hint("`--compression zstd:3`");
}

constexpr std::string_view kChunked = "zstd:chunked";

}  // namespace

Result<Compression> Compression::parse(std::string_view text) {
  const bool is_chunked = text.starts_with(kChunked);
  const size_t colon = text.find(':', is_chunked ? kChunked.size() : 0);
  const std::string_view name = text.substr(0, colon);
  Compression out;
  int highest = 0;
  if (name == "zstd" || name == kChunked) {
    out = {.method = is_chunked ? Method::zstd_chunked : Method::zstd, .level = 3};
    highest = kMaxZstdLevel;
  } else if (name == "gzip") {
    out = {.method = Method::gzip, .level = 6};
    highest = kMaxGzipLevel;
  } else if (name == "none") {
    out = {.method = Method::none, .level = 0};
  } else {
    return unknown(text);
  }
  if (colon == std::string_view::npos) return out;
  const auto level = parse_number(text.substr(colon + 1));
  if (!level || *level == 0 || *level > static_cast<uint64_t>(highest)) return unknown(text);
  out.level = static_cast<int>(*level);
  return out;
}

std::string Compression::recipe() const {
  switch (method) {
    case Method::none: return "none";
    case Method::gzip: return fmt::format("gzip-{}@{}", level, LIBDEFLATE_VERSION_STRING);
    case Method::zstd: return fmt::format("zstd-{}@{}", level, ZSTD_VERSION_STRING);
    case Method::zstd_chunked:
      return fmt::format("{}-{}@{}/{}", kChunked, level, ZSTD_VERSION_STRING, kChunkedRules);
  }
  return "";
}

Result<Compression> Compression::of_recipe(std::string_view recipe) {
  std::string text(recipe.substr(0, recipe.find('@')));
  std::replace(text.begin(), text.end(), '-', ':');
  const Compression out = TRY(parse(text));
  if (out.recipe() == recipe) return out;
  return Error(Code::unsupported, "a layer was compressed by {}, this kist has {}", printable(recipe),
               out.recipe())
      .hint("`kist build` makes the image anew");
}

std::unique_ptr<Compressor> make_compressor(const Compression& compression, const Output& output) {
  switch (compression.method) {
    case Compression::Method::none: return std::make_unique<Plain>(output);
    case Compression::Method::gzip: return std::make_unique<Gzip>(compression.level, output);
    case Compression::Method::zstd: return std::make_unique<Zstd>(compression.level, output);
    case Compression::Method::zstd_chunked: break;
  }
  KIST_ASSERT(false);
  return nullptr;
}

}  // namespace kist::store

#include "archive/decompress.h"

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>
#include <zstd.h>
#ifdef KIST_HAS_ISAL
#include <isa-l/igzip_lib.h>
#endif

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"

namespace kist::archive {
namespace {

constexpr size_t kOutBytes = 256u << 10;
constexpr int kMaxZstdWindowLog = 27;  // 128 MiB, the most that zstd's own tool takes unasked.

Error truncated(std::string_view kind) {
  return Error(Code::corrupt, "{} stream ends before its end: it was cut off", kind);
}

// The next pieces of a source, with what is left of the one at hand.
class Input {
 public:
  explicit Input(Source source) : source_(std::move(source)) {}

  /// False at the end.
  Result<bool> fill() {
    if (!piece_.empty()) return true;
    if (ended_) return false;
    piece_ = TRY(source_());
    ended_ = piece_.empty();
    return !ended_;
  }
  std::string_view piece() const { return piece_; }
  void consume(size_t count) { piece_.remove_prefix(count); }

  /// Only zeros may follow.
  Result<void> expect_padding(std::string_view kind) {
    while (true) {
      const bool more = TRY(fill());
      if (!more) return {};
      if (piece_.find_first_not_of('\0') != std::string_view::npos)
        return Error(Code::corrupt, "{} stream is followed by something else", kind);
      piece_ = {};
    }
  }

 private:
  Source source_;
  std::string_view piece_;
  bool ended_ = false;
};

#ifdef KIST_HAS_ISAL
class Gunzip {
 public:
  explicit Gunzip(Source source) : input_(std::move(source)), out_(kOutBytes, '\0') { reset(); }

  Result<std::string_view> next() {
    while (true) {
      if (!in_member_ && !begin_member()) return std::move(*failed_);
      if (done_) return std::string_view();
      const bool more = TRY(input_.fill());
      const std::string_view in = input_.piece();
      state_.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(in.data()));
      state_.avail_in = static_cast<uint32_t>(std::min<size_t>(in.size(), 1u << 30));
      state_.next_out = reinterpret_cast<uint8_t*>(out_.data());
      state_.avail_out = static_cast<uint32_t>(out_.size());
      const uint32_t offered = state_.avail_in;
      const int code = ::isal_inflate(&state_);
      input_.consume(offered - state_.avail_in);
      if (code != ISAL_DECOMP_OK)
        return Error(Code::corrupt, "damaged gzip stream ({})", reason(code));
      const size_t made = out_.size() - state_.avail_out;
      if (state_.block_state == ISAL_BLOCK_FINISH) in_member_ = false;
      if (made > 0) return std::string_view(out_.data(), made);
      if (in_member_ && !more) return truncated("gzip");
    }
  }

 private:
  void reset() {
    ::isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP;
  }

  // Begins the next member, or finds that there is none. False: failed_ says why.
  bool begin_member() {
    const auto more = input_.fill();
    if (!more) return failed_ = more.error(), false;
    if (!*more && members_ == 0) return failed_ = truncated("gzip"), false;
    if (!*more) return done_ = true;
    if (members_ > 0 && input_.piece().front() == '\0') {
      const auto padding = input_.expect_padding("gzip");
      if (!padding) return failed_ = padding.error(), false;
      return done_ = true;
    }
    if (members_++ > 0) reset();
    return in_member_ = true;
  }

  static std::string reason(int code) {
    switch (code) {
      case ISAL_INVALID_WRAPPER: return "no gzip header where one is wanted";
      case ISAL_INCORRECT_CHECKSUM: return "wrong checksum";
      case ISAL_UNSUPPORTED_METHOD: return "unknown method";
      default: return fmt::format("code {}", code);
    }
  }

  Input input_;
  std::string out_;
  inflate_state state_ = {};
  bool in_member_ = false;
  bool done_ = false;
  uint64_t members_ = 0;
  std::optional<Error> failed_;
};
#else
class Gunzip {
 public:
  explicit Gunzip(Source source) : input_(std::move(source)), out_(kOutBytes, '\0') {
    KIST_ASSERT(::inflateInit2(&state_, 15 + 16) == Z_OK);
  }
  ~Gunzip() { ::inflateEnd(&state_); }
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  Result<std::string_view> next() {
    while (true) {
      const bool more = TRY(input_.fill());
      if (!in_member_) {
        if (!more && members_ == 0) return truncated("gzip");
        if (!more) return std::string_view();
        if (members_ > 0 && input_.piece().front() == '\0') {
          TRY(input_.expect_padding("gzip"));
          return std::string_view();
        }
        if (members_++ > 0) KIST_ASSERT(::inflateReset(&state_) == Z_OK);
        in_member_ = true;
      }
      const std::string_view in = input_.piece();
      state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
      state_.avail_in = static_cast<uInt>(std::min<size_t>(in.size(), 1u << 30));
      state_.next_out = reinterpret_cast<Bytef*>(out_.data());
      state_.avail_out = static_cast<uInt>(out_.size());
      const uInt offered = state_.avail_in;
      const int code = ::inflate(&state_, Z_NO_FLUSH);
      input_.consume(offered - state_.avail_in);
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return Error(Code::corrupt, "damaged gzip stream ({})",
                     state_.msg == nullptr ? "no reason" : state_.msg);
      if (code == Z_STREAM_END) in_member_ = false;
      const size_t made = out_.size() - state_.avail_out;
      if (made > 0) return std::string_view(out_.data(), made);
      if (in_member_ && !more) return truncated("gzip");
    }
  }

 private:
  Input input_;
  std::string out_;
  z_stream state_ = {};
  bool in_member_ = false;
  uint64_t members_ = 0;
};
#endif

class Unzstd {
 public:
  explicit Unzstd(Source source) : input_(std::move(source)), state_(::ZSTD_createDCtx()) {
    KIST_ASSERT(state_ != nullptr);
    ::ZSTD_DCtx_setParameter(state_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
    out_.resize(kOutBytes);
  }

  Result<std::string_view> next() {
    while (true) {
      const bool more = TRY(input_.fill());
      if (!more && in_frame_ && !flushing_) return truncated("zstd");
      if (!more && !in_frame_) {
        if (!any_) return truncated("zstd");
        return std::string_view();
      }
      any_ = true;
      const std::string_view in = input_.piece();
      ZSTD_inBuffer from = {in.data(), in.size(), 0};
      ZSTD_outBuffer to = {out_.data(), out_.size(), 0};
      const size_t left = ::ZSTD_decompressStream(state_.get(), &to, &from);
      if (::ZSTD_isError(left) != 0)
        return Error(Code::corrupt, "damaged zstd stream ({})", ::ZSTD_getErrorName(left));
      input_.consume(from.pos);
      in_frame_ = left != 0;
      // A full buffer may mean that more is ready although no input is left.
      flushing_ = to.pos == to.size;
      if (to.pos > 0) return std::string_view(out_.data(), to.pos);
    }
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* state) const { ::ZSTD_freeDCtx(state); }
  };
  Input input_;
  std::unique_ptr<ZSTD_DCtx, Free> state_;
  std::string out_;
  bool in_frame_ = false;
  bool flushing_ = false;
  bool any_ = false;
};

// xz and bzip2 occur outside of layers only (root file systems to import): libarchive has them.
class ThroughLibarchive {
 public:
  ThroughLibarchive(Source source, int filter) : source_(std::move(source)) {
    handle_ = ::archive_read_new();
    KIST_ASSERT(handle_ != nullptr);
    ::archive_read_support_format_raw(handle_);
    ::archive_read_append_filter(handle_, filter);
    opened_ = ::archive_read_open2(handle_, this, nullptr, pull, nullptr, nullptr);
  }
  ~ThroughLibarchive() { ::archive_read_free(handle_); }
  ThroughLibarchive(const ThroughLibarchive&) = delete;
  ThroughLibarchive& operator=(const ThroughLibarchive&) = delete;

  Result<std::string_view> next() {
    if (ended_) return std::string_view();
    ::archive_entry* entry = nullptr;
    if (opened_ != ARCHIVE_OK) return fail();
    if (!begun_ && ::archive_read_next_header(handle_, &entry) != ARCHIVE_OK) return fail();
    begun_ = true;
    out_.resize(kOutBytes);
    const la_ssize_t got = ::archive_read_data(handle_, out_.data(), out_.size());
    if (got < 0) return fail();
    ended_ = got == 0;
    return std::string_view(out_.data(), static_cast<size_t>(got));
  }

 private:
  Error fail() {
    if (failed_) return *failed_;
    const char* const text = ::archive_error_string(handle_);
    return Error(Code::corrupt, "damaged stream: {}", printable(text == nullptr ? "" : text));
  }
  static la_ssize_t pull(::archive*, void* user, const void** buffer) {
    auto* const self = static_cast<ThroughLibarchive*>(user);
    const auto piece = self->source_();
    if (!piece) return self->failed_ = piece.error(), -1;
    *buffer = piece->data();
    return static_cast<la_ssize_t>(piece->size());
  }

  Source source_;
  ::archive* handle_;
  int opened_ = 0;
  bool begun_ = false;
  bool ended_ = false;
  std::string out_;
  std::optional<Error> failed_;
};

template <class Stream, class... A>
Source make_source(A&&... args) {
  auto stream = std::make_shared<Stream>(std::forward<A>(args)...);
  return [stream] { return stream->next(); };
}

}  // namespace

TarFilter detect_filter(std::string_view start) {
  using namespace std::string_view_literals;
  if (start.starts_with("\x1f\x8b"sv)) return TarFilter::gzip;
  if (start.starts_with("\x28\xb5\x2f\xfd"sv)) return TarFilter::zstd;
  // A skippable frame, with which zstd:chunked layers never begin but others may.
  if (start.size() >= 4 && (start[0] & '\xf0') == '\x50' && start.substr(1, 3) == "\x2a\x4d\x18"sv)
    return TarFilter::zstd;
  if (start.starts_with("\xfd" "7zXZ\0"sv)) return TarFilter::xz;
  if (start.starts_with("BZh"sv)) return TarFilter::bzip2;
  return TarFilter::none;
}

Source prepend(std::string start, Source rest) {
  auto held = std::make_shared<std::string>(std::move(start));
  return [held, given = false, rest = std::move(rest)]() mutable -> Result<std::string_view> {
    if (!std::exchange(given, true) && !held->empty()) return std::string_view(*held);
    return rest();
  };
}

Result<std::string> peek(Source& source, size_t count) {
  std::string start;
  while (start.size() < count) {
    const std::string_view piece = TRY(source());
    if (piece.empty()) break;
    start += piece;
  }
  source = prepend(start, std::move(source));
  return start;
}

Result<Source> decompress(Source raw, TarFilter filter) {
  switch (filter) {
    case TarFilter::none: return raw;
    case TarFilter::gzip: return make_source<Gunzip>(std::move(raw));
    case TarFilter::zstd: return make_source<Unzstd>(std::move(raw));
    case TarFilter::xz: return make_source<ThroughLibarchive>(std::move(raw), ARCHIVE_FILTER_XZ);
    case TarFilter::bzip2:
      return make_source<ThroughLibarchive>(std::move(raw), ARCHIVE_FILTER_BZIP2);
  }
  return Error(Code::internal, "unknown compression");
}

Result<void> each_piece(const Source& source,
                        const std::function<Result<void>(std::string_view)>& use) {
  while (true) {
    const std::string_view piece = TRY(source());
    if (piece.empty()) return {};
    TRY(use(piece));
  }
}

}  // namespace kist::archive

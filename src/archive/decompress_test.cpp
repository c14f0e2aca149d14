#include "archive/decompress.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <random>

namespace kist::archive {
namespace {

std::string sample(size_t bytes) {
  std::mt19937 random(1);
  std::string out;
  while (out.size() < bytes) out += std::string(random() % 40, static_cast<char>('a' + random() % 26));
  out.resize(bytes);
  return out;
}

std::string gzip(const std::string& text) {
  z_stream state = {};
  EXPECT_EQ(::deflateInit2(&state, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&state, text.size()) + 64, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  state.avail_in = static_cast<uInt>(text.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&state, Z_FINISH), Z_STREAM_END);
  out.resize(state.total_out);
  ::deflateEnd(&state);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

// In pieces of `piece` bytes, since what matters happens at their borders.
Source in_pieces(std::string text, size_t piece) {
  auto held = std::make_shared<std::string>(std::move(text));
  return [held, at = size_t{0}, piece]() mutable -> Result<std::string_view> {
    const std::string_view out = std::string_view(*held).substr(std::min(at, held->size()), piece);
    at += out.size();
    return out;
  };
}

Result<std::string> plain(const std::string& packed, size_t piece) {
  Source source = in_pieces(packed, piece);
  const std::string start = TRY(peek(source, 6));
  const Source out = TRY(decompress(std::move(source), detect_filter(start)));
  std::string text;
  TRY(each_piece(out, [&](std::string_view bytes) -> Result<void> { return text += bytes, Result<void>(); }));
  return text;
}

TEST(DecompressTest, EveryFormInPiecesOfEverySize) {
  const std::string text = sample(700'000);
  const std::string skippable("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
  const struct {
    const char* name;
    std::string packed;
  } cases[] = {
      {"gzip", gzip(text)},
      {"gzip, three members", gzip(text.substr(0, 9)) + gzip("") + gzip(text.substr(9))},
      {"gzip, padded", gzip(text) + std::string(700, '\0')},
      {"zstd", zstd(text)},
      {"zstd, frames", skippable + zstd(text.substr(0, 9)) + skippable + zstd("") + zstd(text.substr(9)) + skippable},
      {"none", text},
  };
  for (const auto& c : cases) {
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{4096}, size_t{1} << 30}) {
      SCOPED_TRACE(fmt::format("{} by {}", c.name, piece));
      const auto got = plain(c.packed, piece);
      ASSERT_TRUE(got.has_value()) << got.error().render();
      EXPECT_TRUE(*got == text);
    }
  }
}

TEST(DecompressTest, EveryTruncationIsTold) {
  const std::string text = sample(300);
  for (const std::string& packed : {gzip(text), zstd(text)}) {
    for (size_t length = 6; length < packed.size(); ++length) {
      const auto got = plain(packed.substr(0, length), 50);
      ASSERT_FALSE(got.has_value()) << length;
      EXPECT_EQ(got.error().code(), Code::corrupt);
    }
  }
}

TEST(DecompressTest, DamageAndJunkAreTold) {
  const std::string text = sample(3000);
  for (std::string packed : {gzip(text), zstd(text)}) {
    EXPECT_FALSE(plain(packed + "junk", 64).has_value());
    EXPECT_FALSE(plain(packed + std::string(3, '\0') + "junk", 64).has_value());
  }
  std::string packed = gzip(text);
  packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);
  EXPECT_FALSE(plain(packed, 64).has_value()) << "a wrong checksum";
}

TEST(RunAheadTest, GivesTheSameBytesAndTheErrorAfterThem) {
  const std::string text = sample(3'000'000);
  const Source ahead = run_ahead(in_pieces(text, 1000), 2);
  std::string got;
  ASSERT_TRUE(each_piece(ahead, [&](std::string_view b) { return got += b, Result<void>(); }));
  EXPECT_TRUE(got == text);

  Source failing = [source = in_pieces(text, 1000), left = 5]() mutable -> Result<std::string_view> {
    if (left-- == 0) return Error(Code::unavailable, "no more");
    return source();
  };
  const Source broken = run_ahead(std::move(failing), 2);
  got.clear();
  const auto failed = each_piece(broken, [&](std::string_view b) { return got += b, Result<void>(); });
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().message(), "no more");
  EXPECT_EQ(got, text.substr(0, 5000));
}

TEST(RunAheadTest, CanBeDroppedAtAnyTime) {
  for (int i = 0; i < 50; ++i) {
    const Source ahead = run_ahead(in_pieces(sample(1'000'000), 100), 1);
    if (i % 2 == 0) {
      ASSERT_TRUE(ahead().has_value());
    }
  }
}

}  // namespace
}  // namespace kist::archive

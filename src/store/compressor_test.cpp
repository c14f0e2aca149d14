#include "store/compressor.h"

#include <gtest/gtest.h>

#include "archive/decompress.h"
#include "oci/digest.h"
#include "store/test_home.h"

namespace kist::store {
namespace {

std::string sample() {
  std::string out;
  for (int i = 0; out.size() < (5u << 20); ++i) out += std::to_string(i * 2654435761u % 1000003) + " ";
  return out;
}

std::string packed(std::string_view plain, const Compression& compression, size_t piece_bytes) {
  std::string out;
  const Output output = [&](std::string_view bytes) -> Result<void> {
    out += bytes;
    return {};
  };
  const auto compressor = make_compressor(compression, output);
  for (; !plain.empty(); plain.remove_prefix(std::min(piece_bytes, plain.size())))
    must(compressor->write(plain.substr(0, piece_bytes)));
  must(compressor->finish());
  return out;
}

std::string unpacked(std::string_view bytes, archive::TarFilter filter) {
  std::string out;
  archive::Source raw = [bytes]() mutable -> Result<std::string_view> { return std::exchange(bytes, {}); };
  const archive::Source plain = must(archive::decompress(std::move(raw), filter));
  must(archive::each_piece(plain, [&](std::string_view piece) -> Result<void> {
    out += piece;
    return {};
  }));
  return out;
}

TEST(CompressorTest, ComesBackAndDoesNotDependOnPieces) {
  const std::string plain = sample();
  const std::pair<const char*, archive::TarFilter> methods[] = {{"zstd", archive::TarFilter::zstd},
                                                                {"zstd:1", archive::TarFilter::zstd},
                                                                {"gzip", archive::TarFilter::gzip},
                                                                {"gzip:12", archive::TarFilter::gzip},
                                                                {"none", archive::TarFilter::none}};
  for (const auto& [text, filter] : methods) {
    const Compression compression = must(Compression::parse(text));
    const std::string once = packed(plain, compression, plain.size());
    EXPECT_EQ(unpacked(once, filter), plain) << text;
    EXPECT_EQ(oci::Sha256::of(packed(plain, compression, 4099)), oci::Sha256::of(once)) << text;
    EXPECT_EQ(must(Compression::of_recipe(compression.recipe())), compression) << text;
  }
}

TEST(CompressorTest, AMembersLengthAndNothingBeyond) {
  const Compression gzip = must(Compression::parse("gzip:1"));
  const std::string plain(4u << 20, 'x');  // Two members to the byte.
  EXPECT_EQ(unpacked(packed(plain, gzip, 1000), archive::TarFilter::gzip), plain);
}

TEST(CompressorTest, RejectsWithPreciseMessage) {
  for (const char* text : {"", "xz", "zstd:", "zstd:0", "zstd:23", "gzip:13", "gzip:x", "none:1", "zstd-3", "zstd:chunked:", "zstd:chunked:23",
                           "zstd:chunkedx", "zstd:chunked-3", "zstd::3"})
    EXPECT_EQ(Compression::parse(text).error().message(),
              std::string("compression '") + text + "' is not one of zstd[:1-22], zstd:chunked[:1-22], gzip[:1-12], none");
  for (const char* text : {"zstd:chunked", "zstd:chunked:19"}) {
    const Compression chunked = must(Compression::parse(text));
    EXPECT_EQ(chunked.method, Compression::Method::zstd_chunked);
    EXPECT_EQ(must(Compression::of_recipe(chunked.recipe())), chunked) << text;
  }
  const auto old = Compression::of_recipe("zstd-3@0.0.1");
  EXPECT_EQ(old.error().code(), Code::unsupported);
}

TEST(CompressorTest, TheOutputsFailureEndsIt) {
  const Output full = [](std::string_view) -> Result<void> { return Error(Code::unavailable, "disk full"); };
  const auto compressor = make_compressor({.method = Compression::Method::none, .level = 0}, full);
  EXPECT_EQ(compressor->write("x").error().message(), "disk full");
}

}  // namespace
}  // namespace kist::store

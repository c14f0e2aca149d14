#include "oci/digest.h"

#include <gtest/gtest.h>

namespace kist::oci {
namespace {

// FIPS 180-4, examples.
constexpr char kAbc[] = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(DigestTest, KnownAnswers) {
  EXPECT_EQ(Sha256::of("abc").string(), kAbc);
  Sha256 pieces;
  pieces.update("a");
  pieces.update("");
  pieces.update("bc");
  EXPECT_EQ(pieces.finish().string(), kAbc);
  pieces.update("abc");  // As new after finish().
  EXPECT_EQ(pieces.finish().string(), kAbc);
}

TEST(DigestTest, ParseIsTheInverseOfString) {
  EXPECT_EQ(Digest::parse(kAbc).value().string(), kAbc);
}

// The whole message is the contract, not just "it failed": these lines are what users read.
TEST(DigestTest, ParseRejectsWithPreciseMessage) {
  const struct {
    std::string input;
    Code code;
    std::string message;
  } cases[] = {
      {"", Code::invalid, "digest '' has no ':' after the algorithm"},
      {"md5:aa", Code::unsupported, "digest algorithm 'md5' is not supported, only sha256"},
      {"sha256:../x", Code::invalid, "digest '../x' has '.' at offset 0, not a lower-case hex digit"},
      {"sha256:AA", Code::invalid, "digest 'AA' has 'A' at offset 0, not a lower-case hex digit"},
      {"sha256:aa", Code::invalid, "digest 'aa' has 2 hex digits, want 64"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.input);
    const auto got = Digest::parse(c.input);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), c.code);
    EXPECT_EQ(got.error().message(), c.message);
  }
}

}  // namespace
}  // namespace kist::oci

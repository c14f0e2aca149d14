#include "base/text.h"

#include <gtest/gtest.h>

#include "base/result.h"

namespace kist {
namespace {

TEST(TextTest, LinesDropBothKindsOfNewline) {
  EXPECT_EQ(lines("a\r\nb\n\nc"), (std::vector<std::string_view>{"a", "b", "", "c"}));
  EXPECT_TRUE(lines("").empty());
}

TEST(TextTest, ParseNumberTakesTheWholeTextOrNothing) {
  EXPECT_EQ(parse_number("18446744073709551615"), 18446744073709551615u);
  for (const char* bad : {"", "1x", "-1", "+1", " 1", "18446744073709551616"})
    EXPECT_EQ(parse_number(bad), std::nullopt) << bad;
}

TEST(TextTest, HumanBytesNeverShowsFourDigits) {
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 kB");
  EXPECT_EQ(human_bytes(999'949), "999.9 kB");
  EXPECT_EQ(human_bytes(999'999), "1.0 MB");
  EXPECT_EQ(human_bytes(2'345'678'901), "2.3 GB");
}

// Goal: no byte of a hostile name reaches the terminal as a control sequence.
TEST(TextTest, PrintableEscapesControlsAndBrokenUtf8) {
  EXPECT_EQ(printable("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(printable("\xc2\x9b" "2J"), "\\xc2\\x9b2J");  // C1 CSI
  EXPECT_EQ(printable("caf\xc3\xa9"), "caf\xc3\xa9");
  EXPECT_EQ(printable("\xff\xc0\xaf"), "\\xff\\xc0\\xaf");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // A surrogate.
  EXPECT_EQ(printable(std::string(300, 'x')), std::string(200, 'x') + "…");
}

TEST(TextTest, PercentEncodingIsReversible) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string encoded = percent_encode(all);
  EXPECT_EQ(encoded.find_first_of(std::string_view(" \n\0", 3)), std::string::npos);
  EXPECT_EQ(percent_decode(encoded), all);
  for (const char* bad : {"%", "%1", "%zz", "a%2"}) EXPECT_EQ(percent_decode(bad), std::nullopt);
}

TEST(TextTest, ShellQuote) {
  EXPECT_EQ(shell_quote("a-b/c.py"), "a-b/c.py");
  EXPECT_EQ(shell_quote(""), "''");
  EXPECT_EQ(shell_quote("it's"), "'it'\\''s'");
}

TEST(TextTest, NearestSuggestsOnlyWhatLooksLikeATypingError) {
  const std::vector<std::string> verbs{"run", "lock", "verify", "status"};
  EXPECT_EQ(nearest("verfiy", verbs), "verify");
  EXPECT_EQ(nearest("rum", verbs), "run");
  EXPECT_EQ(nearest("rnu", verbs), "run");
  EXPECT_EQ(nearest("deploy", verbs), std::nullopt);
}

TEST(ResultTest, RenderShowsOutermostFirstThenCausesThenHint) {
  const Error error = Error(Code::corrupt, "got 3 bytes, want 5").context("reading 'x'").hint("`kist fsck`");
  EXPECT_EQ(error.render(), "error: reading 'x'\n  cause: got 3 bytes, want 5\n\nhint: `kist fsck`\n");
}

TEST(ResultTest, TryReturnsTheErrorWithContext) {
  const auto inner = []() -> Result<int> { return Error(Code::not_found, "no such thing"); };
  const auto outer = [&]() -> Result<int> {
    const int value = TRY(inner(), "looking for {}", 7);
    return value;
  };
  const auto got = outer();
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code(), Code::not_found);
  EXPECT_EQ(got.error().message(), "looking for 7");
}

}  // namespace
}  // namespace kist

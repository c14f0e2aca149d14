#include "base/base64.h"

#include <gtest/gtest.h>

namespace kist {
namespace {

TEST(Base64, ComesBackPadded) {
  EXPECT_EQ(encode_base64("user:pass"), "dXNlcjpwYXNz");
  EXPECT_EQ(encode_base64("\xff\xfe\xfd\xfc"), "//79/A==");
  EXPECT_EQ(encode_base64("a?>"), "YT8+");
  for (const std::string text : {"", "a", "ab", "abc", "user:pass"}) {
    EXPECT_EQ(encode_base64(text).size() % 4, 0U);
    EXPECT_EQ(decode_base64(encode_base64(text)), text);
  }
  EXPECT_EQ(decode_base64("YQ"), "a");      // Some writers leave the padding out.
  EXPECT_FALSE(decode_base64("ab$="));
  EXPECT_FALSE(decode_base64("YQ==="));
  EXPECT_FALSE(decode_base64("YQ==YQ=="));  // Nothing after the end.
}

TEST(Base64Url, ComesBackAndHasOneSpelling) {
  for (const std::string text : {"", "a", "ab", "abc", "\xff\xfe\xfd\xfc"})
    EXPECT_EQ(decode_base64_url(encode_base64_url(text)), text);
  EXPECT_FALSE(decode_base64_url("YR"));   // The last letter's unused bits are set.
  EXPECT_FALSE(decode_base64_url("YQ=="));
  EXPECT_FALSE(decode_base64_url("a"));
}

}  // namespace
}  // namespace kist

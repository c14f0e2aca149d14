#include "base/base64.h"

#include <gtest/gtest.h>

namespace kist {
namespace {

TEST(Base64Url, ComesBackAndHasOneSpelling) {
  for (const std::string text : {"", "a", "ab", "abc", "\xff\xfe\xfd\xfc"})
    EXPECT_EQ(decode_base64_url(encode_base64_url(text)), text);
  EXPECT_FALSE(decode_base64_url("YR"));   // The last letter's unused bits are set.
  EXPECT_FALSE(decode_base64_url("YQ=="));
  EXPECT_FALSE(decode_base64_url("a"));
}

}  // namespace
}  // namespace kist

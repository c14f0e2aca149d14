#include "http/address.h"

#include <gtest/gtest.h>

#include "http/local_file.h"

namespace kist::http {
namespace {

TEST(AddressTest, NamesTheFile) {
  EXPECT_EQ(file_name_of_url("https://index.example/a/b%2Bc.whl?x=/y#z/w"), "b+c.whl");
  EXPECT_EQ(file_name_of_url("a.whl"), "a.whl");
  EXPECT_EQ(file_name_of_url("https://index.example/a/"), "");
  EXPECT_EQ(file_name_of_url("x/100%.whl"), "100%.whl");
}

TEST(AddressTest, EveryPathComesBack) {
  for (const std::string path : {"/a b/c.whl", "/a#b/c?d/100%20/\"x\".whl", "/\xff\xfe/ä\n\t.whl", "/"}) {
    const auto back = local_path(file_url(path));
    ASSERT_TRUE(back.has_value()) << path;
    EXPECT_EQ(*back, path);
  }
  EXPECT_EQ(file_url("/a#b ä.whl"), "file:///a%23b%20ä.whl");
}

}  // namespace
}  // namespace kist::http

#include "http/url_credentials.h"

#include <gtest/gtest.h>

namespace kist::http {
namespace {

TEST(UrlCredentialsTest, FindsThoseOfAddressesOnly) {
  const auto found = credentials_in(
      "--index-url https://ada:s%20t@Index.example:8443/simple # https://no.example/a@b\n"
      "thing @ git+https://token@git.example/org/repo@v1\n"
      "url = \"http://u:p@plain.example\"\n"
      "again @ https://eve:other@index.example:8443/x.whl\n"
      "git+ssh://git@ssh.example/x\nada@mail.example ://@ x://");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].origin, "https://index.example:8443");
  EXPECT_EQ(found[0].user_and_password.reveal(), "ada:s t");
  EXPECT_EQ(found[1].origin, "https://git.example");
  EXPECT_EQ(found[1].user_and_password.reveal(), "token");
  EXPECT_EQ(found[2].origin, "http://plain.example");
}

}  // namespace
}  // namespace kist::http

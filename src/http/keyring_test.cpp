#include "http/keyring.h"

#include <gtest/gtest.h>

#include "os/files.h"

namespace kist::http {
namespace {

class KeyringTest : public testing::Test {
 protected:
  // A keyring that knows one password, by host.
  void SetUp() override {
    ASSERT_TRUE(
        os::write_file_atomically(os::join(dir_.path(), "keyring"),
                                  "#!/bin/sh\n"
                                  "echo \"$@\" >>\"$LOG\"\n"
                                  "[ \"$*\" = \"get h:8443 me\" ] && echo 'p@ss:word' && exit\n"
                                  "exit 1\n",
                                  0755));
  }
  IndexConfig asked(const std::string& url, const std::string& provider) {
    IndexConfig out;
    out.default_url = Secret(url);
    out.keyring_provider = provider;
    ask_keyring(out, {"PATH=" + dir_.path() + ":/bin:/usr/bin", "LOG=" + log()});
    return out;
  }
  std::string log() const { return os::join(dir_.path(), "log"); }

  os::TempDir dir_ = os::TempDir::make("/tmp", "kist-keyring.").value();
};

TEST_F(KeyringTest, AsksForTheAddressThenForTheHost) {
  const IndexConfig got = asked("https://me@h:8443/simple", "subprocess");
  EXPECT_EQ(got.default_url.reveal(), "https://me:p%40ss%3Aword@h:8443/simple");
  EXPECT_EQ(os::read_file(log()).value(), "get https://h:8443/simple me\nget h:8443 me\n");
  EXPECT_EQ(credentials_of(got).at(0).user_and_password.reveal(), "me:p@ss:word");
}

TEST_F(KeyringTest, UnknownPasswordsAndMissingUsersStay) {
  EXPECT_EQ(asked("https://you@h:8443/", "subprocess").default_url.reveal(), "https://you@h:8443/");
  EXPECT_EQ(asked("https://h:8443/", "subprocess").default_url.reveal(), "https://h:8443/");
  EXPECT_EQ(asked("https://a:b@h:8443/", "subprocess").default_url.reveal(), "https://a:b@h:8443/");
}

TEST_F(KeyringTest, IsNotAskedUnlessWanted) {
  EXPECT_EQ(asked("https://me@h:8443/", "").default_url.reveal(), "https://me@h:8443/");
  EXPECT_FALSE(os::exists(log()));
}

}  // namespace
}  // namespace kist::http

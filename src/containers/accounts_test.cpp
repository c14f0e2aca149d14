#include "containers/accounts.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "os/files.h"

namespace kist::containers {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class AccountsTest : public testing::Test {
 protected:
  AccountsTest() {
    EXPECT_TRUE(os::make_folders(os::join(folder_.path(), "etc")).has_value());
    write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbad line\n:::::\nada:x:1000:100:Ada:/home/ada:/bin/sh\n"
                        "max:x:4294967295:1:::\n");
    write("etc/group", "root:x:0:\nusers:x:100:\nstaff:x:50:max,ada\nwheel:x:10:ada\n");
  }
  void write(const std::string& path, const std::string& text) {
    EXPECT_TRUE(os::write_file_atomically(os::join(folder_.path(), path), text).has_value());
  }
  Result<Account> find(std::string_view wanted, const std::vector<std::string>& more = {}) {
    const os::Fd root = os::open_file(folder_.path(), O_PATH | O_DIRECTORY).value();
    return find_account(root, wanted, more);
  }
  os::TempDir folder_ = os::TempDir::make("/tmp", "kist-acc.").value();
};

TEST_F(AccountsTest, AsDockerFindsThem) {
  EXPECT_EQ(find("")->uid, 0u);
  EXPECT_EQ(find("")->home, "/root");
  const Account ada = find("ada").value();
  EXPECT_EQ(ada.uid, 1000u);
  EXPECT_EQ(ada.gid, 100u);
  EXPECT_EQ(ada.home, "/home/ada");
  EXPECT_THAT(ada.groups, ElementsAre(100, 50, 10));
  EXPECT_EQ(find("1000")->gid, 100u);
  EXPECT_EQ(find("ada:staff")->gid, 50u);
  EXPECT_THAT(find("ada:staff")->groups, ElementsAre(50));
  EXPECT_EQ(find("1234")->uid, 1234u);
  EXPECT_EQ(find("1234")->gid, 0u);
  EXPECT_EQ(find("1234")->home, "/");
  EXPECT_EQ(find("1234:5678")->gid, 5678u);
  EXPECT_EQ(find(":50")->gid, 50u);
  EXPECT_THAT(find("ada:")->groups, ElementsAre(100, 50, 10));
  EXPECT_THAT(find("0", {"staff", "7"})->groups, ElementsAre(0, 50, 7));
}

TEST_F(AccountsTest, RefusesWhoIsNotThere) {
  EXPECT_EQ(find("eve").error().message(), "no user 'eve' in the image");
  EXPECT_EQ(find("ada:none").error().message(), "no group 'none' in the image");
  EXPECT_EQ(find("0", {"none"}).error().message(), "no group 'none' in the image");
  EXPECT_EQ(find("4294967295").error().message(), "no user '4294967295' in the image");
  EXPECT_EQ(find("max").error().message(), "no user 'max' in the image");
}

TEST_F(AccountsTest, HostileFilesAreAsNone) {
  ASSERT_EQ(::unlink(os::join(folder_.path(), "etc/passwd").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", os::join(folder_.path(), "etc/passwd").c_str()), 0);
  EXPECT_EQ(find("root").error().message(), "no user 'root' in the image") << "a link to itself";
  ASSERT_EQ(::unlink(os::join(folder_.path(), "etc/passwd").c_str()), 0);
  ASSERT_EQ(::mkfifo(os::join(folder_.path(), "etc/passwd").c_str(), 0644), 0);
  EXPECT_EQ(find("7")->uid, 7u);
}

}  // namespace
}  // namespace kist::containers

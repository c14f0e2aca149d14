#include "debian/accounts.h"

#include <gtest/gtest.h>

namespace kist::debian {
namespace {

constexpr char kPasswd[] = "root:*:0:0:root:/root:/bin/bash\nmail:*:8:8:mail:/var/mail:/x\n";
constexpr char kGroup[] = "root:*:0:\nmail:*:8:\nutmp:*:43:root\n";

Accounts make() { return Accounts::from_masters(kPasswd, kGroup).value(); }

TEST(AccountsTest, MastersBecomeTheFourFiles) {
  const Accounts accounts = make();
  EXPECT_EQ(accounts.passwd(),
            "root:x:0:0:root:/root:/bin/bash\nmail:x:8:8:mail:/var/mail:/x\n");
  EXPECT_EQ(accounts.group(), "root:x:0:\nmail:x:8:\nutmp:x:43:root\n");
  EXPECT_EQ(accounts.shadow(), "root:*::0:99999:7:::\nmail:*::0:99999:7:::\n");
  EXPECT_EQ(accounts.gshadow(), "root:*::\nmail:*::\nutmp:*::root\n");
  EXPECT_EQ(accounts.uid_of("mail"), 8u);
  EXPECT_EQ(accounts.gid_of("43"), 43u);
  EXPECT_FALSE(accounts.uid_of("nobody-here").has_value());
  EXPECT_FALSE(accounts.uid_of("").has_value());
}

TEST(AccountsTest, RefusesBadMasters) {
  EXPECT_EQ(Accounts::from_masters("root:*:x:0::/:/\n", "").error().message(),
            "'root:*:x:0::/:/' is no passwd line");
  EXPECT_EQ(Accounts::from_masters("", "root:*\n").error().message(), "'root:*' is no group line");
}

TEST(AccountsTest, CommandsOfMaintainerScripts) {
  Accounts accounts = make();
  EXPECT_TRUE(accounts.add_by_command({"adduser", "--system", "--group", "--home", "/var/lib/p",
                                       "--no-create-home", "--gecos", "The one", "postgres"}));
  EXPECT_TRUE(accounts.add_by_command({"adduser", "--system", "--quiet", "lonely"}));
  EXPECT_TRUE(accounts.add_by_command({"addgroup", "--system", "ssl-cert"}));
  EXPECT_TRUE(accounts.add_by_command({"adduser", "postgres", "ssl-cert"}));
  EXPECT_TRUE(accounts.add_by_command({"useradd", "-r", "-g", "mail", "-d", "/x", "mailer"}));
  EXPECT_TRUE(accounts.add_by_command({"adduser", "--system", "postgres"})) << "again: no change";
  EXPECT_FALSE(accounts.add_by_command({"adduser", "--system", "bad:name"}));
  EXPECT_FALSE(accounts.add_by_command({"adduser", "--home"}));
  EXPECT_EQ(accounts.passwd().substr(accounts.passwd().find("postgres")),
            "postgres:x:100:100:The one:/var/lib/p:/usr/sbin/nologin\n"
            "lonely:x:101:65534::/nonexistent:/usr/sbin/nologin\n"
            "mailer:x:103:8::/x:/usr/sbin/nologin\n");
  EXPECT_EQ(accounts.group().substr(accounts.group().find("postgres")),
            "postgres:x:100:\nssl-cert:x:102:postgres\n");
}

TEST(AccountsTest, SysusersLines) {
  Accounts accounts = make();
  accounts.add_sysusers(
      "# comment\ng render - -\nu messagebus - \"System Bus\" /run/dbus\nu fixed 77:mail - - -\n"
      "m fixed render\nu %bad - x\nr - 500-900\n");
  EXPECT_EQ(accounts.passwd().substr(accounts.passwd().find("messagebus")),
            "messagebus:x:101:101:System Bus:/run/dbus:/usr/sbin/nologin\n"
            "fixed:x:77:8::/:/usr/sbin/nologin\n");
  EXPECT_NE(accounts.group().find("render:x:100:fixed\n"), std::string::npos);
}

}  // namespace
}  // namespace kist::debian

#include "debian/apt_config.h"

#include <gtest/gtest.h>

#include "debian/mirror.h"
#include "os/files.h"

namespace kist::debian {
namespace {

TEST(AptConfigTest, ReadsOneLineSources) {
  const auto all = parse_sources_list(
      "# comment\n"
      "deb http://mirror.test/debian/ bookworm main contrib # why\n"
      "deb-src http://mirror.test/debian bookworm main\n"
      "\n"
      "deb [ arch=amd64,arm64 signed-by=/k.gpg check-valid-until=no ] https://m.test/x suite main\n");
  ASSERT_TRUE(all.has_value()) << all.error().render();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].uri, "http://mirror.test/debian");
  EXPECT_EQ((*all)[0].suite, "bookworm");
  EXPECT_EQ((*all)[0].components, (std::vector<std::string>{"main", "contrib"}));
  EXPECT_TRUE((*all)[0].check_valid_until);
  EXPECT_EQ((*all)[1].architectures, (std::vector<std::string>{"amd64", "arm64"}));
  EXPECT_EQ((*all)[1].keyrings, (std::vector<std::string>{"/k.gpg"}));
  EXPECT_FALSE((*all)[1].check_valid_until);
}

TEST(AptConfigTest, RefusesBadLines) {
  EXPECT_EQ(parse_sources_list("\ndeb [x http://m.test s main\n").error().render(),
            "error: line 2\n  cause: 'deb [x http://m.test s main' has '[' without ']'\n");
  EXPECT_EQ(parse_sources_list("deb http://m.test\n").error().frames()[0],
            "'deb http://m.test' is not 'deb [options] address suite components'");
}

TEST(AptConfigTest, ReadsDeb822Sources) {
  const auto all = parse_deb822_sources(
      "Types: deb deb-src\nURIs: http://a.test/debian http://b.test/debian/\n"
      "# in between\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\n"
      "Types: deb\nURIs: http://c.test\nSuites: s\nComponents: main\nEnabled: no\n\n"
      "Types: deb\nURIs: http://d.test\nSuites: s\nComponents: main\n"
      "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n QUJD\n"
      " -----END PGP PUBLIC KEY BLOCK-----\n");
  ASSERT_TRUE(all.has_value()) << all.error().render();
  ASSERT_EQ(all->size(), 5u);
  EXPECT_EQ((*all)[3].uri, "http://b.test/debian");
  EXPECT_EQ((*all)[3].suite, "bookworm-updates");
  EXPECT_EQ((*all)[3].keyrings, (std::vector<std::string>{"/k.gpg"}));
  EXPECT_EQ((*all)[4].inline_key,
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nQUJD\n"
            "-----END PGP PUBLIC KEY BLOCK-----\n");
}

TEST(AptConfigTest, ReadsAptConfScopes) {
  const auto all = parse_apt_conf(
      "// c\nAcquire { http { Proxy \"http://p.test:3128\"; }; };\n"
      "/* x */ Acquire::Check-Valid-Until \"false\"; # y\nList { \"one\"; \"two\"; };\n");
  using Pair = std::pair<std::string, std::string>;
  ASSERT_GE(all.size(), 2u);
  EXPECT_EQ(all[0], Pair("Acquire::http::Proxy", "http://p.test:3128"));
  EXPECT_EQ(all[1], Pair("Acquire::Check-Valid-Until", "false"));
}

TEST(AptConfigTest, ReadsAWholeFolder) {
  const os::TempDir folder = os::TempDir::make("/tmp", "apt.").value();
  const auto write = [&](const std::string& name, const std::string& text) {
    const std::string path = os::join(folder.path(), name);
    ASSERT_TRUE(os::make_folders(os::parent_of(path)).has_value());
    ASSERT_TRUE(os::write_file_atomically(path, text).has_value());
  };
  write("sources.d/a.list", "deb http://a.test/debian bookworm main\n");
  write("sources.d/b.sources.bak", "not read\n");
  write("conf.d/10", "Acquire::Check-Date \"false\";\nAcquire::http::Proxy \"http://p.test\";\n");
  write("trusted.d/x.asc", "");
  write("keyrings/debian-archive-keyring.gpg", "");
  write("keyrings/debian-archive-removed-keys.gpg", "");
  const std::string& at = folder.path();
  const AptPaths paths{at + "/none", at + "/sources.d", at + "/none", at + "/conf.d",
                       at + "/none", at + "/trusted.d", at + "/keyrings"};
  const auto config = read_apt_config(paths);
  ASSERT_TRUE(config.has_value()) << config.error().render();
  ASSERT_EQ(config->sources.size(), 1u);
  EXPECT_FALSE(config->check_date);
  EXPECT_TRUE(config->check_valid_until);
  EXPECT_EQ(config->proxy_http, "http://p.test");
  EXPECT_EQ(config->keyrings, (std::vector<std::string>{
                                  at + "/trusted.d/x.asc",
                                  at + "/keyrings/debian-archive-keyring.gpg"}));
}

AptSource source(std::string uri, std::string suite, std::vector<std::string> components = {"main"}) {
  AptSource out;
  out.uri = std::move(uri);
  out.suite = std::move(suite);
  out.components = std::move(components);
  return out;
}

TEST(MirrorTest, MapsTheHostsSourcesToTheWantedSuite) {
  AptConfig config;
  config.sources = {source("http://m.test/debian", "bookworm", {"main", "contrib"}),
                    source("http://m.test/debian", "bookworm-updates"),
                    source("http://m.test/debian", "bookworm-backports"),
                    source("http://s.test/security", "bookworm-security"),
                    source("http://other.test", "bookworm", {"stable"}),
                    source("http://node.test", "nodistro"),
                    source("cdrom:x", "bookworm")};
  config.keyrings = {"/all.gpg"};
  config.check_valid_until = false;
  const auto pockets = find_pockets(config, "trixie");
  ASSERT_TRUE(pockets.has_value());
  ASSERT_EQ(pockets->size(), 3u);
  EXPECT_EQ((*pockets)[0].suite, "trixie");
  ASSERT_EQ((*pockets)[0].archives.size(), 1u);
  EXPECT_EQ((*pockets)[0].archives[0].uri, "http://m.test/debian");
  EXPECT_EQ((*pockets)[0].archives[0].keyrings, (std::vector<std::string>{"/all.gpg"}));
  EXPECT_FALSE((*pockets)[0].archives[0].check_valid_until);
  EXPECT_EQ((*pockets)[1].suite, "trixie-updates");
  EXPECT_EQ((*pockets)[2].archives[0].uri, "http://s.test/security");
  EXPECT_EQ((*pockets)[2].archives[0].suite, "trixie-security");
}

TEST(MirrorTest, OldSecurityNamesAndReleaseAliases) {
  EXPECT_EQ(split_suite("buster/updates")->pocket, "-security");
  EXPECT_EQ(split_suite("stable-updates")->release, "stable");
  EXPECT_EQ(split_suite("oldstable")->release, "oldstable");
  EXPECT_FALSE(split_suite("jammy").has_value());
  EXPECT_FALSE(split_suite("bookwormish").has_value());
}

TEST(MirrorTest, NoSourceIsAnErrorWithAHint) {
  const auto pockets = find_pockets({}, "trixie");
  ASSERT_FALSE(pockets.has_value());
  EXPECT_EQ(pockets.error().code(), Code::not_found);
  EXPECT_EQ(pockets.error().message(), "no Debian archive is configured on this machine");
  EXPECT_FALSE(pockets.error().hint_text().empty());
}

}  // namespace
}  // namespace kist::debian

#include "registry/address.h"

#include <gtest/gtest.h>

#include "os/files.h"

namespace kist::registry {
namespace {

RegistriesConf conf_of(std::string_view text) {
  RegistriesConf conf;
  const auto added = add_registries_conf(text, "registries.conf", conf);
  EXPECT_TRUE(added) << added.error().render();
  return conf;
}

std::vector<Address> addresses(const std::string& name, std::string_view conf = "", bool for_push = false,
                               const Host& host = {}) {
  const auto reference = oci::Reference::parse(name);
  EXPECT_TRUE(reference) << reference.error().render();
  const auto found = addresses_of(*reference, host, conf_of(conf), for_push);
  EXPECT_TRUE(found) << found.error().render();
  return found ? *found : std::vector<Address>();
}

TEST(LoopbackTest, OnlyThisMachine) {
  for (const char* own : {"localhost", "localhost:5000", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:5000", "a.localhost:1"})
    EXPECT_TRUE(is_loopback(own)) << own;
  for (const char* other : {"", "localhost.example.com", "127.example.com", "127.0.0.1.example.com:5000", "128.0.0.1",
                            "[::2]", "[::1", "example.com", "notlocalhost", "1127.0.0.1"})
    EXPECT_FALSE(is_loopback(other)) << other;
}

TEST(AddressTest, WithoutConfiguration) {
  const auto all = addresses("registry.example.com:5000/team/tool:1");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].host, "registry.example.com:5000");
  EXPECT_EQ(all[0].registry, "registry.example.com:5000");
  EXPECT_EQ(all[0].repository, "team/tool");
  EXPECT_FALSE(all[0].may_be_plain || all[0].is_unverified || all[0].is_mirror);
  const auto local = addresses("localhost:5000/tool");
  EXPECT_TRUE(local[0].may_be_plain && local[0].is_unverified);
}

TEST(AddressTest, InsecureByTheCommandLine) {
  Host host;
  host.insecure = true;
  EXPECT_TRUE(addresses("registry.example.com/tool", "", false, host)[0].may_be_plain);
}

TEST(AddressTest, LocationsReplaceThePrefix) {
  const char* conf = R"([[registry]]
prefix = "old.example/team"
location = "new.example:5000/mirrored/team"
insecure = true)";
  const auto moved = addresses("old.example/team/tool:1", conf);
  EXPECT_EQ(moved[0].host, "new.example:5000");
  EXPECT_EQ(moved[0].repository, "mirrored/team/tool");
  EXPECT_TRUE(moved[0].may_be_plain);
  EXPECT_EQ(moved[0].registry, "old.example") << "credentials are kept under the name that people use";
  // A prefix ends where a name does.
  EXPECT_EQ(addresses("old.example/teams/tool", conf)[0].host, "old.example");
  EXPECT_EQ(addresses("old.example/other", conf)[0].host, "old.example");
  EXPECT_EQ(addresses("old.example.org/team/tool", conf)[0].host, "old.example.org");
}

TEST(AddressTest, TheLongestPrefixWins) {
  const char* conf = R"([[registry]]
prefix = "reg.example/a"
location = "long.example"
[[registry]]
location = "reg.example"
insecure = true
[[registry]]
prefix = "*.example"
blocked = true)";
  EXPECT_EQ(addresses("reg.example/a/b", conf)[0].host, "long.example");
  EXPECT_TRUE(addresses("reg.example/b", conf)[0].may_be_plain);
  const auto blocked = addresses_of(*oci::Reference::parse("other.example/x"), {}, conf_of(conf), false);
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().code(), Code::denied);
  EXPECT_EQ(blocked.error().message(), "the registry of 'other.example/x' is blocked in registries.conf");
}

TEST(AddressTest, WildcardsFitHostsBelow) {
  const RegistriesConf conf = conf_of("[[registry]]\nprefix = \"*.example.com\"\ninsecure = true\n");
  EXPECT_NE(conf.find("a.example.com/x"), nullptr);
  EXPECT_NE(conf.find("a.b.example.com:5000/x"), nullptr);
  EXPECT_EQ(conf.find("example.com/x"), nullptr);
  EXPECT_EQ(conf.find("aexample.com/x"), nullptr);
  EXPECT_EQ(conf.find("evil.org/a.example.com"), nullptr);
}

TEST(AddressTest, MirrorsComeFirstAndArePulledFromOnly) {
  const char* conf = R"([[registry]]
location = "reg.example"
[[registry.mirror]]
location = "near.example:5000/cache"
insecure = true
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "far.example")";
  const auto all = addresses("reg.example/team/tool:1", conf);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].host, "near.example:5000");
  EXPECT_EQ(all[0].repository, "cache/team/tool");
  EXPECT_TRUE(all[0].is_mirror && all[0].may_be_plain);
  EXPECT_EQ(all[0].registry, "near.example:5000") << "no password of one registry is shown to another";
  EXPECT_EQ(all[1].host, "far.example");
  EXPECT_FALSE(all[1].may_be_plain);
  EXPECT_EQ(all[2].host, "reg.example");
  EXPECT_FALSE(all[2].is_mirror);
  const auto push = addresses("reg.example/team/tool:1", conf, true);
  ASSERT_EQ(push.size(), 1u);
  EXPECT_EQ(push[0].host, "reg.example");
}

TEST(AddressTest, NamesWithoutARegistry) {
  const auto none = addresses_of(*oci::Reference::parse("tool:1"), {}, {}, false);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Code::invalid);
  EXPECT_EQ(none.error().message(), "the name 'tool:1' says no registry, and none is configured");
  EXPECT_EQ(addresses("tool", "unqualified-search-registries = [\"first.example\", \"second.example\"]")[0].host, "first.example");
  const auto alias = addresses("tool", "[aliases]\ntool = \"reg.example/team/tool\"\n");
  EXPECT_EQ(alias[0].host, "reg.example");
  EXPECT_EQ(alias[0].repository, "team/tool");
  Host host;
  host.default_registry = "built-in.example";
  EXPECT_EQ(addresses("tool", "", false, host)[0].host, "built-in.example");
  EXPECT_EQ(addresses("tool", "unqualified-search-registries = [\"own.example\"]", false, host)[0].host, "own.example");
}

TEST(RegistriesConfTest, LaterFilesWin) {
  RegistriesConf conf = conf_of("unqualified-search-registries = [\"a.example\"]\n[[registry]]\nlocation = \"x.example\"\n"
                                "[aliases]\none = \"a.example/one\"\ntwo = \"a.example/two\"\n");
  ASSERT_TRUE(add_registries_conf("[[registry]]\nlocation = \"x.example\"\nblocked = true\n[aliases]\ntwo = \"b.example/two\"\n",
                                  "later.conf", conf));
  EXPECT_EQ(conf.search, std::vector<std::string>{"a.example"});
  ASSERT_EQ(conf.entries.size(), 1u);
  EXPECT_TRUE(conf.entries[0].blocked);
  EXPECT_EQ(conf.aliases.at("one"), "a.example/one");
  EXPECT_EQ(conf.aliases.at("two"), "b.example/two");
}

TEST(RegistriesConfTest, WhatIsWrongIsSaidWithItsPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"[[registry", "f.conf:1:11"},
      {"\n\nunqualified-search-registries = 7\n", "f.conf:3:"},
      {"[[registry]]\ninsecure = \"yes\"\nlocation = \"x\"", "f.conf:2:"},
      {"[[registry]]\ninsecure = true\n", "a [[registry]] needs a location or a prefix"},
      {"[[registry]]\nlocation = \"x\"\n[[registry.mirror]]\ninsecure = true\n", "location"},
      {"registry = 3\n", "f.conf:1:"},
      {"aliases = [1]\n", "f.conf:1:"},
  };
  for (const auto& [text, want] : cases) {
    RegistriesConf conf;
    const auto added = add_registries_conf(text, "f.conf", conf);
    ASSERT_FALSE(added) << text;
    EXPECT_NE(added.error().render().find(want), std::string::npos) << added.error().render();
  }
  RegistriesConf conf;
  EXPECT_FALSE(add_registries_conf(std::string(5 << 20, '\n'), "f.conf", conf));
  EXPECT_FALSE(add_registries_conf("x = " + std::string(100'000, '['), "f.conf", conf));
}

class FilesTest : public testing::Test {
 protected:
  FilesTest() {
    host_.home = dir_.path();
    host_.variables["XDG_CONFIG_HOME"] = os::join(dir_.path(), "config");
  }
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = os::join(dir_.path(), name);
    EXPECT_TRUE(os::make_folders(os::parent_of(path), 0700));
    EXPECT_TRUE(os::write_file_atomically(path, text));
    return path;
  }
  Address address(const std::string& name) const {
    const auto found = addresses_of(*oci::Reference::parse(name), host_, {}, false);
    return found ? found->front() : Address();
  }

  os::TempDir dir_ = os::TempDir::make("/tmp", "kist-address.").value();
  Host host_;
};

TEST_F(FilesTest, ThePersonsFileAndItsParts) {
  write("config/containers/registries.conf", "unqualified-search-registries = [\"own.example\"]\n");
  write("config/containers/registries.conf.d/50-a.conf", "[aliases]\na = \"a.example/a\"\n");
  write("config/containers/registries.conf.d/60-b.conf", "[aliases]\na = \"b.example/a\"\n");
  write("config/containers/registries.conf.d/ignored.txt", "not = [toml");
  const auto conf = read_registries_conf(host_);
  ASSERT_TRUE(conf) << conf.error().render();
  EXPECT_EQ(default_registry(host_, *conf), "own.example");
  EXPECT_EQ(conf->aliases.at("a"), "b.example/a");
  host_.variables["CONTAINERS_REGISTRIES_CONF"] = write("other.conf", "unqualified-search-registries = [\"named.example\"]\n");
  const auto named = read_registries_conf(host_);
  ASSERT_TRUE(named);
  EXPECT_EQ(default_registry(host_, *named), "named.example");
  EXPECT_FALSE(named->aliases.contains("a"));
  host_.variables["CONTAINERS_REGISTRIES_CONF"] = os::join(dir_.path(), "missing.conf");
  EXPECT_FALSE(read_registries_conf(host_)) << "a file that was named must be there";
}

TEST_F(FilesTest, CertificatesOfARegistry) {
  const std::string folder = "config/containers/certs.d/reg.example:5000/";
  const std::string authority = write(folder + "ca.crt", "authority");
  const std::string certificate = write(folder + "client.cert", "certificate");
  EXPECT_TRUE(address("reg.example:5000/x").tls.certificate.empty()) << "a certificate without its key is of no use";
  const std::string key = write(folder + "client.key", "key");
  const Address found = address("reg.example:5000/x");
  EXPECT_EQ(found.tls.authorities, std::vector{authority});
  EXPECT_EQ(found.tls.certificate, certificate);
  EXPECT_EQ(found.tls.key, key);
  EXPECT_TRUE(address("reg.example/x").tls.authorities.empty());
  EXPECT_TRUE(address("reg.example:5001/x").tls.authorities.empty());
}

TEST_F(FilesTest, DockersFolderForCertificatesCountsToo) {
  const std::string authority = write(".docker/certs.d/reg.example/ca.crt", "authority");
  EXPECT_EQ(address("reg.example/x").tls.authorities, std::vector{authority});
}

TEST_F(FilesTest, ACertificateForALoopbackRegistryIsChecked) {
  write("config/containers/certs.d/localhost:5000/ca.crt", "authority");
  EXPECT_FALSE(address("localhost:5000/x").is_unverified);
  EXPECT_TRUE(address("localhost:5001/x").is_unverified);
  host_.insecure = true;
  EXPECT_TRUE(address("localhost:5000/x").is_unverified);
}

TEST_F(FilesTest, AllAuthoritiesOfAFolderCount) {
  const std::string first = write("config/containers/certs.d/reg.example/a.crt", "authority");
  const std::string second = write("config/containers/certs.d/reg.example/b.crt", "authority");
  EXPECT_EQ(address("reg.example/x").tls.authorities, (std::vector{first, second}));
}

TEST_F(FilesTest, ConnectionsAsPodmanHasThem) {
  host_.variables["CONTAINERS_CONF"] = write("containers.conf", "[engine]\nimage_parallel_copies = 3\n");
  EXPECT_EQ(most_connections(host_, false), 3u);
  EXPECT_EQ(most_connections(host_, true), 3u);
  write("containers.conf", "[engine]\nimage_parallel_copies = 100000\n");
  EXPECT_EQ(most_connections(host_, false), 64u);
  host_.variables.erase("CONTAINERS_CONF");
  write("config/containers/containers.conf", "[engine]\nimage_parallel_copies = 2\n");
  EXPECT_EQ(most_connections(host_, false), 2u);
}

}  // namespace
}  // namespace kist::registry

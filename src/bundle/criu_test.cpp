#include "bundle/criu.h"

#include <gtest/gtest.h>

namespace kist::bundle {
namespace {

constexpr std::string_view kInside =
    "89 46 254:0 /b/rootfs / rw,relatime - ext4 /dev/vda rw\n"
    "90 89 0:44 / /proc rw,relatime - proc proc rw\n"
    "91 89 0:45 / /dev rw,nosuid shared:3 - tmpfs tmpfs rw\n"
    "92 89 254:0 /srv/a\\040b /mnt/a\\040b ro - ext4 /dev/vda rw\n"
    "93 89 0:21 / /host-shm rw - tmpfs tmpfs rw\n"
    "97 96 0:29 /c1 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
    "110 90 0:44 /sys /proc/sys ro,relatime - proc proc rw\n"
    "112 90 0:6 /null /proc/keys ro - devtmpfs devtmpfs rw\n"
    "nonsense\n"
    "1 2 3\n";

TEST(Criu, MountsAreRead) {
  const auto mounts = parse_mounts(kInside);
  ASSERT_EQ(mounts.size(), 8u);
  EXPECT_EQ(mounts[2].at, "/dev");
  EXPECT_EQ(mounts[2].type, "tmpfs");
  EXPECT_EQ(mounts[3].at, "/mnt/a b");
  EXPECT_EQ(mounts[3].root, "/srv/a b");
  EXPECT_EQ(mounts[0].id, 89u);
}

TEST(Criu, WhatTheHostSeesTooIsFromOutside) {
  const auto host = parse_mounts("21 1 0:21 / /dev/shm rw - tmpfs tmpfs rw\n1 0 254:0 / / rw - ext4 /dev/vda rw\n");
  const std::vector<std::string> wanted = {"/host-shm", "/mnt/a b", "/proc/keys", "/sys/fs/cgroup/cpu"};
  EXPECT_EQ(external_mounts(parse_mounts(kInside), host), wanted);
}

TEST(Criu, ExternalsComeBackAsTheyWent) {
  const Externals given = {.mounts = {"/a", "/b \"c"}, .streams = {"pipe:[7]", "", "file[1:2]"}, .network = "network"};
  const auto read = parse_externals(externals_text(given));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->mounts, given.mounts);
  EXPECT_EQ(read->streams, given.streams);
  EXPECT_EQ(read->network, given.network);
}

TEST(Criu, HostileExternals) {
  for (const char* text : {"", "[]x", "{\"mounts\":7}", "{\"mounts\":[\"relative\"]}", "{\"mounts\":[1]}",
                           "{\"streams\":[\"\",\"\",\"\",\"\"]}", "{\"network\":{}}"})
    EXPECT_FALSE(parse_externals(text).has_value()) << text;
}

TEST(Criu, TheCommandLine) {
  CriuOptions options;
  options.image_folder = "/i";
  options.tcp_established = true;
  options.empty_namespaces = {"network"};
  const std::vector<std::string> wanted = {"criu",       "dump",        "--images-dir", "/i",
                                           "--work-dir", "/w",          "--log-file",   "/w/dump.log",
                                           "-v4",        "--tcp-established", "--manage-cgroups=ignore", "--empty-ns", "net"};
  EXPECT_EQ(criu_command("dump", options, "/w", "/w/dump.log"), wanted);
}

TEST(Criu, OneThatIsNotThere) {
  const auto checked = check_criu("/nowhere/criu");
  ASSERT_FALSE(checked.has_value());
  EXPECT_TRUE(checked.error().code() == Code::unsupported || checked.error().code() == Code::denied);
}

}  // namespace
}  // namespace kist::bundle

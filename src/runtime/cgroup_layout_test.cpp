#include "runtime/cgroup_layout.h"

#include <gtest/gtest.h>

namespace kist::runtime {
namespace {

constexpr std::string_view kV1Mounts =
    "30 25 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
constexpr std::string_view kV2Mounts =
    "30 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr std::string_view kHybridMounts =
    "32 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

TEST(CgroupLayoutTest, FindsWhereALimitIsSet) {
  const struct {
    const char* why;
    std::string_view self;
    std::string_view mounts;
    std::string_view controller;
    std::string expected;  // "VERSION PARENT", or empty
  } cases[] = {
      {"v1: below us", "4:memory:/user/ada\n3:cpu,cpuacct:/\n", kV1Mounts, "memory",
       "1 /sys/fs/cgroup/memory/user/ada"},
      {"v1: two controllers in one tree", "4:memory:/\n3:cpu,cpuacct:/a\n", kV1Mounts, "cpu",
       "1 /sys/fs/cgroup/cpu,cpuacct/a"},
      {"v1: no such tree", "4:memory:/\n3:cpu,cpuacct:/a\n", kV1Mounts, "pids", ""},
      {"v2: beside us", "0::/user.slice/run.scope\n", kV2Mounts, "memory",
       "2 /sys/fs/cgroup/user.slice"},
      {"v2: one below the root", "0::/init.scope\n", kV2Mounts, "memory", "2 /sys/fs/cgroup"},
      {"v2: the root has no beside", "0::/\n", kV2Mounts, "memory", "2 /sys/fs/cgroup"},
      {"hybrid: in v1", "4:memory:/m\n0::/u/x\n", kHybridMounts, "memory",
       "1 /sys/fs/cgroup/memory/m"},
      {"hybrid: not in v1", "4:memory:/m\n0::/u/x\n", kHybridMounts, "pids",
       "2 /sys/fs/cgroup/unified/u"},
      {"a part of the tree is mounted", "4:memory:/docker/12/sub\n",
       "32 30 0:29 /docker/12 /cg rw - cgroup cgroup rw,memory\n", "memory", "1 /cg/sub"},
      {"another part is", "4:memory:/docker/123\n",
       "32 30 0:29 /docker/12 /cg rw - cgroup cgroup rw,memory\n", "memory", ""},
      {"outside of our cgroup namespace", "0::/../x\n", kV2Mounts, "memory", ""},
      {"a name with a space", "0::/a/b\n", "3 2 0:1 / /my\\040cg rw - cgroup2 c rw\n", "memory",
       "2 /my cg/a"},
      {"a named tree is no controller", "1:name=systemd:/s\n",
       "3 2 0:1 / /sd rw - cgroup c rw,name=systemd\n", "memory", ""},
      {"rubbish", "x\n::\n:\n", "1 2 3\n- - -\n\n", "memory", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto place = CgroupLayout::parse(c.self, c.mounts).place(c.controller);
    const std::string got = place ? std::to_string(place->version) + " " + place->parent : "";
    EXPECT_EQ(got, c.expected);
  }
}

}  // namespace
}  // namespace kist::runtime

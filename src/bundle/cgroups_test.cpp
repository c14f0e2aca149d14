#include "bundle/cgroups.h"

#include <gtest/gtest.h>

#include "bundle/cgroup_devices.h"
#include "bundle/cgroup_settings.h"

namespace kist::bundle {
namespace {

constexpr const char* kSelf =
    "8:pids:/\n4:memory:/machine/a b\n3:cpu,cpuacct:/\n9:name=systemd:/\n0::/user/me\n";
constexpr const char* kMounts =
    "30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
    "31 30 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "34 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
    "35 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "36 25 0:27 / /mnt/again rw - cgroup cgroup rw,pids\n";

TEST(CgroupHostTest, EachHierarchyOnce) {
  const auto found = parse_cgroup_hierarchies(kSelf, kMounts);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[2].controllers, (std::vector<std::string>{"cpu", "cpuacct"}));
  EXPECT_EQ(found[4].version, 2);
  EXPECT_EQ(found[1].own_path, "/machine/a b");
}

TEST(CgroupHostTest, AbsolutePathsStartAtTheTop) {
  const auto found = parse_cgroup_hierarchies(kSelf, kMounts);
  EXPECT_EQ(cgroup_folder(found[1], "/pod/x", "id").value(), "/sys/fs/cgroup/memory/pod/x");
  EXPECT_EQ(cgroup_folder(found[1], "x", "id").value(), "/sys/fs/cgroup/memory/machine/a b/x");
  EXPECT_EQ(cgroup_folder(found[0], "", "id").value(), "/sys/fs/cgroup/pids/id");
  // Beside our own: it has processes, and so may have no children with controllers.
  EXPECT_EQ(cgroup_folder(found[4], "", "id").value(), "/sys/fs/cgroup/unified/user/id");
}

TEST(CgroupHostTest, NoPathLeadsOut) {
  const auto found = parse_cgroup_hierarchies(kSelf, kMounts);
  for (const char* path : {"/../x", "../x", "/a/../../b"})
    EXPECT_FALSE(cgroup_folder(found[0], path, "id")) << path;
  for (const char* path : {"/", "//", "/."})
    EXPECT_FALSE(cgroup_folder(found[0], path, "id")) << path;
}

TEST(CgroupHostTest, NonsenseGivesNothing) {
  EXPECT_TRUE(parse_cgroup_hierarchies("", "").empty());
  EXPECT_TRUE(parse_cgroup_hierarchies("x\n:\n::\n", " - cgroup \n- cgroup2\n").empty());
}

std::map<std::string, std::string> values(const std::vector<CgroupSetting>& settings) {
  std::map<std::string, std::string> out;
  for (const CgroupSetting& setting : settings) out[setting.file] = setting.value;
  return out;
}

TEST(CgroupSettingsTest, MemoryAndSwapMeanOtherThingsInVersion2) {
  Resources resources;
  resources.memory.limit = 100;
  resources.memory.swap = 150;
  EXPECT_EQ(values(cgroup_settings_v1(resources))["memory.memsw.limit_in_bytes"], "150");
  auto v2 = values(cgroup_settings_v2(resources));
  EXPECT_EQ(v2["memory.max"], "100");
  EXPECT_EQ(v2["memory.swap.max"], "50");
}

TEST(CgroupSettingsTest, NoLimit) {
  Resources resources;
  resources.memory.limit = -1;
  resources.pids = -1;
  EXPECT_EQ(values(cgroup_settings_v1(resources))["memory.limit_in_bytes"], "-1");
  EXPECT_EQ(values(cgroup_settings_v2(resources))["memory.max"], "max");
  EXPECT_EQ(values(cgroup_settings_v1(resources))["pids.max"], "max");
}

TEST(CgroupSettingsTest, CpuInVersion2) {
  Resources resources;
  resources.cpu.shares = 1024;
  resources.cpu.quota_us = 50'000;
  auto v2 = values(cgroup_settings_v2(resources));
  EXPECT_EQ(v2["cpu.weight"], "39");
  // The period stays as it is, 100000 in a new group.
  EXPECT_EQ(v2["cpu.max"], "50000");
  resources.cpu.period_us = 20'000;
  EXPECT_EQ(values(cgroup_settings_v2(resources))["cpu.max"], "50000 20000");
  resources.cpu.quota_us = -1;
  EXPECT_EQ(values(cgroup_settings_v2(resources))["cpu.max"], "max 20000");
  resources.cpu.quota_us.reset();
  const auto only_period = cgroup_settings_v2(resources);
  ASSERT_EQ(only_period.back().file, "cpu.max");
  EXPECT_EQ(only_period.back().value, "20000");
  EXPECT_TRUE(only_period.back().keeps_first);
  resources.cpu.shares = 2;
  EXPECT_EQ(values(cgroup_settings_v2(resources))["cpu.weight"], "1");
  resources.cpu.shares = 262'144;
  EXPECT_EQ(values(cgroup_settings_v2(resources))["cpu.weight"], "10000");
}

TEST(CgroupSettingsTest, WhatOnlyVersion1Has) {
  Resources resources;
  resources.memory.limit = 1;
  resources.block_io.weight = 100;
  for (const CgroupSetting& setting : cgroup_settings_v1(resources)) EXPECT_FALSE(is_only_v1(setting));
  EXPECT_EQ(controller_v2("blkio"), "io");
  resources.block_io.weight_device = {{8, 0, 1000}};
  for (const CgroupSetting& setting : cgroup_settings_v1(resources)) EXPECT_FALSE(setting.optional) << setting.file;
  const auto v2 = cgroup_settings_v2(resources);
  EXPECT_EQ(v2.back().value, "8:0 10000");
  EXPECT_EQ(v2.back().unless, "io.bfq.weight") << "one of the two is enough, none is an error";
  resources = {};
  resources.memory.swappiness = 5;
  resources.cpu.realtime_runtime_us = 5;
  for (const CgroupSetting& setting : cgroup_settings_v1(resources)) EXPECT_TRUE(is_only_v1(setting));
}

TEST(CgroupSettingsTest, UnifiedIsAsItIs) {
  Resources resources;
  resources.unified = {{"memory.high", "5"}, {"cgroup.max.depth", "2"}};
  const auto v2 = cgroup_settings_v2(resources);
  ASSERT_EQ(v2.size(), 2u);
  EXPECT_EQ(v2[0].controller, "");
  EXPECT_EQ(v2[1].controller, "memory");
}

// Runs the program as the kernel would, for the instructions that it has.
int answer(const std::vector<bpf_insn>& program, uint32_t type, uint32_t access, uint32_t major,
           uint32_t minor) {
  uint64_t registers[11] = {};
  const uint32_t context[] = {(access << 16) | type, major, minor};
  for (size_t at = 0; at < program.size(); ++at) {
    const bpf_insn& now = program[at];
    uint64_t& to = registers[now.dst_reg];
    switch (now.code) {
      case BPF_LDX | BPF_MEM | BPF_W: to = context[now.off / 4]; break;
      case BPF_ALU64 | BPF_MOV | BPF_X: to = registers[now.src_reg]; break;
      case BPF_ALU64 | BPF_MOV | BPF_K: to = static_cast<uint64_t>(int64_t{now.imm}); break;
      case BPF_ALU64 | BPF_AND | BPF_K: to &= static_cast<uint64_t>(int64_t{now.imm}); break;
      case BPF_ALU64 | BPF_RSH | BPF_K: to >>= now.imm; break;
      case BPF_JMP | BPF_JNE | BPF_K:
        if (to != static_cast<uint64_t>(int64_t{now.imm})) at += static_cast<size_t>(now.off);
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        if (to == static_cast<uint64_t>(int64_t{now.imm})) at += static_cast<size_t>(now.off);
        break;
      case BPF_JMP | BPF_EXIT: return static_cast<int>(registers[0]);
      default: ADD_FAILURE() << "instruction " << int{now.code}; return -1;
    }
  }
  ADD_FAILURE() << "it does not end";
  return -1;
}

TEST(CgroupDevicesTest, TheProgramDecidesAsTheRulesSay) {
  Spec spec;
  spec.resources.devices = {{.allow = false, .type = 'a', .read = true, .write = true, .make = true},
                            {.allow = true, .type = 'c', .major = 10, .minor = 229, .read = true},
                            {.allow = true, .type = 'b', .major = 8, .read = true, .write = true},
                            {.allow = false, .type = 'b', .major = 8, .minor = 1, .write = true}};
  const auto program = device_program(device_rules(spec));
  constexpr uint32_t kBlock = BPF_DEVCG_DEV_BLOCK;
  constexpr uint32_t kChar = BPF_DEVCG_DEV_CHAR;
  constexpr uint32_t kRead = BPF_DEVCG_ACC_READ;
  constexpr uint32_t kWrite = BPF_DEVCG_ACC_WRITE;
  constexpr uint32_t kMake = BPF_DEVCG_ACC_MKNOD;
  EXPECT_EQ(answer(program, kChar, kRead, 10, 229), 1);
  EXPECT_EQ(answer(program, kChar, kRead | kWrite, 10, 229), 0);
  EXPECT_EQ(answer(program, kChar, kRead, 10, 230), 0);
  EXPECT_EQ(answer(program, kBlock, kRead | kWrite, 8, 5), 1);
  EXPECT_EQ(answer(program, kBlock, kWrite, 8, 1), 0);
  EXPECT_EQ(answer(program, kBlock, kRead, 8, 1), 1);
  EXPECT_EQ(answer(program, kChar, kMake, 99, 99), 1) << "nodes may be made";
  EXPECT_EQ(answer(program, kChar, kRead | kWrite, 1, 3), 1) << "/dev/null";
  EXPECT_EQ(answer(program, kChar, kRead, 1, 11), 0) << "/dev/kmsg";
  EXPECT_EQ(answer(program, kChar, kRead | kWrite, 136, 4), 1) << "a terminal";
}

// The kernel refuses a program with a part that is never reached.
TEST(CgroupDevicesTest, NothingFollowsARuleForAll) {
  DeviceRule all{.allow = false, .type = 'a', .read = true, .write = true, .make = true};
  const size_t before = device_program({}).size();
  EXPECT_EQ(device_program({all}).size(), before);
  EXPECT_EQ(device_program({all, all}).size(), before);
  all.allow = true;
  DeviceRule null{.allow = false, .type = 'c', .major = 1, .minor = 3, .read = true};
  EXPECT_EQ(device_program({null, all}).size(), before);
  EXPECT_GT(device_program({all, null}).size(), before);
}

TEST(CgroupDevicesTest, WhatIsWrittenInVersion1) {
  const auto writes = device_writes({{.allow = false, .type = 'a', .read = true, .write = true, .make = true},
                                     {.allow = true, .type = 'c', .major = 1, .read = true},
                                     {.allow = true, .type = 'a', .make = true}});
  ASSERT_EQ(writes.size(), 4u);
  EXPECT_EQ(writes[0].value, "a");
  EXPECT_STREQ(writes[0].file, "devices.deny");
  EXPECT_EQ(writes[1].value, "c 1:* r");
  EXPECT_EQ(writes[2].value, "c *:* m");
  EXPECT_EQ(writes[3].value, "b *:* m");
}

TEST(CgroupDevicesTest, NothingToSet) {
  EXPECT_TRUE(allows_everything({}));
  const DeviceRule all = {.allow = true, .type = 'a', .read = true, .write = true, .make = true};
  EXPECT_TRUE(allows_everything({all}));
  EXPECT_FALSE(allows_everything({all, {.allow = false, .type = 'c', .major = 1, .read = true}}));
}

}  // namespace
}  // namespace kist::bundle

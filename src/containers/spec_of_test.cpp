#include "containers/spec_of.h"

#include <gmock/gmock.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "containers/resources_of.h"
#include "runtime/capabilities.h"

namespace kist::containers {
namespace {

Record plain() {
  Record r;
  r.id = std::string(64, 'a');
  r.command = {"true"};
  return r;
}

bundle::Spec spec(const Record& record, const SpecHost& host = {.is_root = true}) {
  auto made = spec_of(record, host);
  EXPECT_TRUE(made.has_value()) << made.error().render();
  return std::move(*made);
}

uint64_t bounding(const std::vector<std::string>& added, const std::vector<std::string>& dropped) {
  Record r = plain();
  r.capabilities_added = added;
  r.capabilities_dropped = dropped;
  return spec(r).process->capabilities->bounding;
}

TEST(SpecOfTest, Capabilities) {
  using runtime::capability;
  EXPECT_EQ(bounding({}, {}), runtime::kDefaultCapabilities);
  EXPECT_EQ(bounding({"chown"}, {"ALL"}), capability(CAP_CHOWN));
  EXPECT_EQ(bounding({"NET_ADMIN"}, {}), runtime::kDefaultCapabilities | capability(CAP_NET_ADMIN));
  EXPECT_EQ(bounding({}, {"CAP_CHOWN"}), runtime::kDefaultCapabilities & ~capability(CAP_CHOWN));
  EXPECT_EQ(bounding({"all"}, {"sys_admin"}), ~capability(CAP_SYS_ADMIN));
}

TEST(SpecOfTest, NamespacesOfRootAndOfAUser) {
  Record r = plain();
  EXPECT_EQ(spec(r).find_namespace(CLONE_NEWNET), nullptr) << "the host's network is the default";
  EXPECT_EQ(spec(r).find_namespace(CLONE_NEWUSER), nullptr);
  r.network = "none";
  EXPECT_NE(spec(r).find_namespace(CLONE_NEWNET), nullptr);
  const bundle::Spec user = spec(r, {.is_root = false, .uid = 1000, .gid = 100});
  ASSERT_NE(user.find_namespace(CLONE_NEWUSER), nullptr);
  EXPECT_EQ(user.uid_maps[0].outside, 1000u);
  EXPECT_EQ(user.gid_maps[0].outside, 100u);
}

TEST(SpecOfTest, CgroupParentIsAFolderOrASlice) {
  Record r = plain();
  EXPECT_EQ(spec(r).cgroups_path, "");
  r.cgroup_parent = "/jobs";
  EXPECT_EQ(spec(r, {.is_root = true, .has_systemd = true}).cgroups_path, "/jobs/" + r.id);
  r.cgroup_parent = "jobs.slice";
  EXPECT_EQ(spec(r, {.is_root = true, .has_systemd = true}).cgroups_path, "jobs.slice:kist:" + r.id);
  EXPECT_EQ(spec(r, {.is_root = true}).cgroups_path, "jobs.slice/" + r.id);
  r.cgroup_parent = "/top/jobs.slice";
  EXPECT_EQ(spec(r, {.is_root = true, .has_systemd = true}).cgroups_path, "/top/jobs.slice/" + r.id);
}

TEST(SpecOfTest, NothingIsHiddenFromThePrivileged) {
  Record r = plain();
  EXPECT_THAT(spec(r).masked_paths, testing::Contains("/proc/kcore"));
  EXPECT_FALSE(spec(r).resources.devices.front().allow);
  r.privileged = true;
  EXPECT_TRUE(spec(r).masked_paths.empty());
  EXPECT_TRUE(spec(r).resources.devices.front().allow);
}

TEST(SpecOfTest, DeeperMountsComeLater) {
  Record r = plain();
  r.mounts = {{.type = "tmpfs", .source = {}, .destination = "/a/b"}, {.type = "tmpfs", .source = {}, .destination = "/a"}};
  const bundle::Spec made = spec(r);
  EXPECT_EQ(made.mounts[made.mounts.size() - 2].destination, "/a");
  EXPECT_EQ(made.mounts.back().destination, "/a/b");
}

TEST(SpecOfTest, Limits) {
  Record r = plain();
  r.limits.cpus = 1.5;
  r.limits.memory_bytes = 64 << 20;
  r.limits.memory_swap_bytes = -1;
  const bundle::Resources got = spec(r).resources;
  EXPECT_EQ(got.cpu.quota_us, 150'000);
  EXPECT_EQ(got.memory.limit, 64 << 20);
  EXPECT_EQ(got.memory.swap, -1);
  EXPECT_FALSE(got.pids.has_value());
}

TEST(SpecOfTest, LimitsInDockersOlderWords) {
  Record r = plain();
  EXPECT_FALSE(spec(r).resources.memory.swappiness.has_value());
  r.limits.cpu_period_us = 50'000;
  r.limits.cpu_quota_us = 20'000;
  r.limits.memory_swappiness = 0;
  r.limits.oom_kill_disable = true;
  r.device_rules = {"c 10:* rw"};
  r.annotations = {{"a", "b"}};
  r.umask = 027;
  const bundle::Spec got = spec(r);
  EXPECT_EQ(got.resources.cpu.period_us, 50'000u);
  EXPECT_EQ(got.resources.cpu.quota_us, 20'000);
  EXPECT_EQ(got.resources.memory.swappiness, 0u);
  EXPECT_EQ(got.resources.memory.disable_oom_killer, true);
  EXPECT_EQ(got.annotations.at("a"), "b");
  EXPECT_EQ(got.process->user.umask, 027u);
  EXPECT_FALSE(got.resources.devices.front().allow) << "what is not named stays closed";
  EXPECT_EQ(got.resources.devices.back().major, 10u);
  EXPECT_FALSE(got.resources.devices.back().minor.has_value());
  EXPECT_FALSE(got.resources.devices.back().make);
  r.limits.write_bps = {{"/dev/null", 1}};
  EXPECT_EQ(spec_of(r, {}).error().message(), "--device-write-bps");
}

TEST(SpecOfTest, RulesForDevices) {
  EXPECT_TRUE(parse_device_rule("a *:* rwm").has_value());
  for (const char* bad : {"", "c", "c 1:3", "x 1:3 r", "c 1:x r", "c 1:3 q", "c 1:3 ", "c 1:99999999999 r"})
    EXPECT_FALSE(parse_device_rule(bad).has_value()) << bad;
}

TEST(SpecOfTest, NamespacesOfOthersAreJoined) {
  Record r = plain();
  r.pid = r.ipc = "container:abc";
  const bundle::Spec made = spec(r, {.is_root = true, .pid_namespace = "/proc/1/ns/pid", .ipc_namespace = "/proc/1/ns/ipc"});
  EXPECT_EQ(made.find_namespace(CLONE_NEWPID)->path, "/proc/1/ns/pid");
  EXPECT_EQ(made.find_namespace(CLONE_NEWIPC)->path, "/proc/1/ns/ipc");
  const auto memory = std::find_if(made.mounts.begin(), made.mounts.end(), [](const auto& m) { return m.destination == "/dev/shm"; });
  ASSERT_NE(memory, made.mounts.end());
  EXPECT_EQ(memory->source, kSharedMemory);
  r.ipc = r.pid = "host";
  EXPECT_EQ(spec(r).find_namespace(CLONE_NEWPID), nullptr);
}

TEST(SpecOfTest, RefusesWhatIsNotThere) {
  Record r = plain();
  r.mounts = {{.type = "bind", .source = "/does/not/exist", .destination = "/a"}};
  EXPECT_EQ(spec_of(r, {}).error().message(), "the source of the mount '/does/not/exist' does not exist");
  r = plain();
  r.devices = {"/etc/passwd"};
  EXPECT_EQ(spec_of(r, {}).error().message(), "--device: '/etc/passwd' is no device of this host");
  r = plain();
  r.capabilities_added = {"net_admim"};
  EXPECT_EQ(spec_of(r, {}).error().hint_text(), "did you mean `net_admin`?");
}

TEST(WordsTest, SignalsAndLimits) {
  EXPECT_EQ(signal_number("SIGTERM").value(), SIGTERM);
  EXPECT_EQ(signal_number("term").value(), SIGTERM);
  EXPECT_EQ(signal_number("9").value(), 9);
  EXPECT_EQ(signal_number("RTMIN+3").value(), SIGRTMIN + 3);
  for (const char* bad : {"", "0", "99", "SIGNOT", "rtmin+99"}) EXPECT_FALSE(signal_number(bad).has_value()) << bad;
  EXPECT_EQ(ulimit_number("nofile").value(), RLIMIT_NOFILE);
  EXPECT_FALSE(ulimit_number("files").has_value());
}

}  // namespace
}  // namespace kist::containers

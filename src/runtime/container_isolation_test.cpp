// What a command must not see or be able to do, and that nothing of it is left.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "os/child.h"
#include "runtime/container_testing.h"

namespace kist::runtime::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class IsolationTest : public ContainerTest {};
INSTANTIATE_TEST_SUITE_P(As, IsolationTest, users(), user_name);

TEST_P(IsolationTest, TheHostsRootIsGone) {
  // The old root is stacked on the new one for a moment; if it stays, "/.." leads to it.
  const Ran ran =
      run_script("ls /.. /../.. | sort | uniq 2>/dev/null; cut -d' ' -f5 /proc/self/mountinfo");
  EXPECT_THAT(ran.out, Not(HasSubstr("root\n")));
  const Ran mounts = run_script("cat /proc/self/mountinfo");
  int roots = 0;
  for (const auto& line : {mounts.out}) {
    size_t at = 0;
    while ((at = line.find(" / / ", at)) != std::string::npos) ++roots, ++at;
  }
  EXPECT_EQ(roots, 1) << mounts.out;
  EXPECT_THAT(mounts.out, Not(HasSubstr(" /proc/sys/fs/binfmt_misc ")));
}

TEST_P(IsolationTest, HasDockersCapabilities) {
  const std::string status = "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status";
  ContainerSpec spec = place().spec(status);
  spec.uid = spec.gid = 0;
  EXPECT_EQ(run(spec).out,
            "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n"
            "CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
  spec.uid = spec.gid = kUser;
  EXPECT_EQ(run(spec).out,
            "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
            "CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
}

TEST_P(IsolationTest, CanBeAskedToLeaveHelpersTheirPrivileges) {
  ContainerSpec spec = place().spec(
      "grep -E '^(CapEff|NoNew|Seccomp:)' /proc/self/status; mount -t tmpfs none /tmp && echo "
      "mounted");
  spec.uid = spec.gid = 0;
  spec.keep_capabilities = true;
  spec.no_seccomp = true;
  spec.no_new_privs = false;
  EXPECT_THAT(run(spec).out,
              ContainsRegex("CapEff:\t000001f+e?f+\nNoNewPrivs:\t0\nSeccomp:\t0\nmounted\n"));
  spec.no_seccomp = false;
  EXPECT_THAT(run(spec).out, HasSubstr("Seccomp:\t2\nmount: permission denied"));
}

TEST_P(IsolationTest, HidesAndProtectsTheKernelsFiles) {
  ContainerSpec spec = place().spec(
      "for f in kcore keys timer_list sched_debug latency_stats; do test -e /proc/$f && wc -c < "
      "/proc/$f; done; ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v ':$' | tr -d "
      "'\\n'; for f in /proc/sys/kernel/hostname /proc/sysrq-trigger "
      "/proc/irq/default_smp_affinity; "
      "do (echo 1 > $f) 2>/dev/null && echo wrote $f; done; mkdir /sys/fs/cgroup/x 2>/dev/null && "
      "echo made; true");
  spec.uid = spec.gid = 0;
  const Ran ran = run(spec);
  EXPECT_THAT(ran.out, Not(ContainsRegex("[1-9a-z]")));
}

TEST_P(IsolationTest, ReadOnlyRootLeavesTheRestWritable) {
  ContainerSpec spec =
      place().spec("touch /x; touch /etc/x; touch /tmp/x /run/x /dev/shm/x /project/x && echo fine");
  spec.read_only_root = true;
  spec.mounts = {{.source = place().project(), .target = "/project"}};
  EXPECT_EQ(run(spec).out,
            "touch: /x: Read-only file system\ntouch: /etc/x: Read-only file system\nfine\n");
}

TEST_P(IsolationTest, TheFirstProcessKeepsItsSecrets) {
  // /proc/1/exe is the caller's program: who could open it could, as root, overwrite it later.
  ContainerSpec spec = place().spec(
      "readlink /proc/1/exe; cat /proc/1/environ /proc/1/maps; ls /proc/1/root/; cat "
      "/proc/1/fd/0; kill -9 1; echo alive");
  spec.uid = spec.gid = 0;
  const Ran ran = run(spec);
  EXPECT_THAT(ran.out, Not(HasSubstr("/tmp")));
  EXPECT_THAT(ran.out, HasSubstr("cat: can't open '/proc/1/environ': Permission denied\n"));
  EXPECT_THAT(ran.out, HasSubstr("ls: /proc/1/root/: Permission denied\n"));
  EXPECT_THAT(ran.out, HasSubstr("cat: can't open '/proc/1/fd/0': Permission denied\n"));
  EXPECT_THAT(ran.out, HasSubstr("alive\n"));
}

TEST_P(IsolationTest, LinksInTheImageDoNotLeadMountsOut) {
  // Goal: whatever the links in a root say, a mount lands inside. Method: each target below goes
  // through a link that on the host is a folder of ours; the folder must stay empty, and the file
  // must be seen inside at the place that the link means inside.
  const std::string outside = place().folder() + "/outside";
  ASSERT_TRUE(os::make_folders(outside).has_value());
  ASSERT_EQ(0, ::chmod(outside.c_str(), 0777));
  ASSERT_TRUE(os::write_file_atomically(place().project() + "/file", "inside\n").has_value());
  place().link(outside, "/absolute");
  place().link("../../../../../../.." + outside, "/home/dotdot");
  place().link("../../../../../../.." + outside + "/new", "/home/dangling");
  place().link("/loop", "/loop");
  place().link("/proc/self/root", "/magic");
  for (const char* target : {"/absolute/x", "/home/dotdot/x", "/home/dangling/x"}) {
    SCOPED_TRACE(target);
    ContainerSpec spec =
        place().spec(std::string("cat ") + target + "/file; readlink -f " + target);
    spec.mounts = {{.source = place().project(), .target = target}};
    const Ran ran = run(spec);
    EXPECT_EQ(ran.error, "");
    EXPECT_THAT(ran.out, HasSubstr("inside\n" + outside));
    EXPECT_TRUE(os::list_folder(outside).value().empty());
  }
  ContainerSpec spec = place().spec("true");
  spec.mounts = {{.source = place().project(), .target = "/loop/x"}};
  EXPECT_EQ(run(spec).error,
            "error: create the mount target '/loop/x': Too many levels of symbolic links\n");
  spec.mounts = {{.source = place().project(), .target = "/magic/x"}};
  EXPECT_EQ(run(spec).error,
            "error: create the mount target '/magic/x': Too many levels of symbolic links\n");
}

TEST_P(IsolationTest, RefusesARootThatMovesTheKernelsFolders) {
  for (const char* name : {"proc", "sys", "dev", "tmp", "run"}) {
    SCOPED_TRACE(name);
    Place hostile(GetParam());
    ASSERT_EQ(0, ::rmdir((hostile.root() + "/" + name).c_str()));
    hostile.link("/etc", std::string("/") + name);
    EXPECT_EQ(run(hostile.spec("true")).error,
              fmt::format("error: the root has something else than a folder at '{}'\n", name));
  }
}

TEST_P(IsolationTest, MakesTheFoldersThatARootLacks) {
  for (const char* name : {"proc", "sys", "dev", "tmp", "run"})
    ASSERT_EQ(0, ::rmdir((place().root() + "/" + name).c_str()));
  EXPECT_EQ(
      run_script("test -e /proc/self && test -e /sys/kernel && test -c /dev/null && echo all").out,
      "all\n");
}

TEST_P(IsolationTest, ReapsOrphansAndEndsThem) {
  // The inner shell ends at once and leaves its sleep to the first process, which must reap it.
  const std::string marker = fmt::format("86{}{}", ::getpid(), GetParam());
  const Ran ran =
      run_script("sh -c 'sleep 0.05 &'; sleep 0.3; cat /proc/[0-9]*/stat | grep -c ' Z '");
  EXPECT_EQ(ran.out, "0\n");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(run_script("sh -c 'sleep " + marker + " &'; exit 5").status, 5);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(processes_with(marker), 0);
}

TEST_P(IsolationTest, DiesWithItsCaller) {
  const std::string marker = fmt::format("87{}{}", ::getpid(), GetParam());
  Runner runner(place().spec("trap '' TERM INT HUP; setsid sleep " + marker +
                             " & echo ready; sleep " + marker + "; echo woke"),
                GetParam());
  ASSERT_TRUE(runner.wait_for("ready"));
  ASSERT_GE(processes_with(marker), 1);
  ASSERT_EQ(0, ::kill(runner.pid(), SIGKILL));
  EXPECT_EQ(runner.finish().status, -SIGKILL);
  EXPECT_TRUE(soon([&] { return processes_with(marker) == 0; }));
}

TEST_P(IsolationTest, RunsManyAtOnce) {
  std::vector<std::unique_ptr<Runner>> runners;
  for (int i = 0; i < 12; ++i)
    runners.push_back(
        std::make_unique<Runner>(place().spec(fmt::format("echo {}; exit {}", i, i)), GetParam()));
  for (int i = 0; i < 12; ++i) {
    const Ran ran = runners[static_cast<size_t>(i)]->finish();
    EXPECT_EQ(ran.error, "");
    EXPECT_EQ(ran.out, fmt::format("{}\n", i));
    EXPECT_EQ(ran.status, i);
  }
}

// A root of form A, made with the tools of erofs-utils: one metadata image, files by their objects.
TEST_P(IsolationTest, RunsFromAnImageAndObjects) {
  if (!is_root()) GTEST_SKIP() << "only root may mount an image";
  const std::string meta = place().folder() + "/meta";
  const std::string objects = place().folder() + "/objects";
  for (const char* name : {"bin", "etc", "proc", "sys", "dev", "tmp", "run"})
    ASSERT_TRUE(os::make_folders(os::join(meta, name)).has_value());
  ASSERT_TRUE(os::make_folders(objects + "/ab").has_value());
  const std::string busybox = os::read_file(kBusybox).value();
  ASSERT_TRUE(os::write_file_atomically(objects + "/ab/cd", busybox, 0755).has_value());
  const std::string file = meta + "/bin/busybox";
  ASSERT_TRUE(os::write_file_atomically(file, "", 0755).has_value());
  ASSERT_EQ(0, ::truncate(file.c_str(), static_cast<off_t>(busybox.size())));
  ASSERT_EQ(0, ::setxattr(file.c_str(), "trusted.overlay.metacopy", "", 0, 0));
  ASSERT_EQ(0, ::setxattr(file.c_str(), "trusted.overlay.redirect", "/ab/cd", 6, 0));
  ASSERT_EQ(0, ::symlink("busybox", (meta + "/bin/sh").c_str()));
  const std::string image = place().folder() + "/meta.erofs";
  const auto made = os::run({.args = {"mkfs.erofs", "-x1", image, meta}, .env = os::current_env()});
  if (!made || made->status != 0) GTEST_SKIP() << "needs mkfs.erofs";

  ContainerSpec spec = place().spec("busybox id -u; busybox touch /bin/new && busybox ls /bin");
  spec.root.lowers.clear();
  spec.root.erofs_image = image;
  spec.root.objects = objects;
  const Ran ran = run(spec);
  if (ran.error.find("needs Linux 6.12") != std::string::npos) GTEST_SKIP() << ran.error;
  EXPECT_EQ(ran.error, "");
  EXPECT_EQ(ran.out, "0\nbusybox\nnew\nsh\n");

  spec.root.erofs_image = place().folder() + "/no.erofs";
  EXPECT_EQ(run(spec).error,
            fmt::format("error: mount the image '{}/no.erofs': No such file or directory\n",
                        place().folder()));
  spec.root.erofs_image = kBusybox;
  EXPECT_EQ(run(spec).error, "error: mount the image '/bin/busybox': Invalid argument\n");
  spec.root.erofs_image = image;
  spec.root.objects = "/no/objects";
  EXPECT_EQ(run(spec).error,
            "error: mount the root from '/no/objects': No such file or directory\n");
}

TEST_P(IsolationTest, LimitsMemoryAndProcesses) {
  if (!is_root()) GTEST_SKIP() << "see SaysWhyALimitCannotBeEnforced";
  ContainerSpec spec = place().spec("tail -c 200000000 /dev/zero | wc -c");
  spec.args = {"tail", "-c", "200000000", "/dev/zero"};
  spec.limits.memory_bytes = 32 << 20;
  const Ran ran = run(spec);
  if (ran.error.find("cannot be enforced") != std::string::npos) GTEST_SKIP() << ran.error;
  EXPECT_EQ(ran.status, 137) << ran.error;

  ContainerSpec forks = place().spec("for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done; wait");
  forks.limits.pids = 5;
  EXPECT_THAT(run(forks).out, HasSubstr("can't fork"));

  // Programs read their limits there, by the path that /proc names.
  ContainerSpec cpu = place().spec(
      "path=$(sed -n 's/^[0-9]*:[a-z,]*cpu[a-z,]*:\\(.*kist.*\\)/\\1/p' /proc/self/cgroup);"
      "cat /sys/fs/cgroup/cpu*$path/cpu.cfs_quota_us || cut -d' ' -f1 /sys/fs/cgroup/cpu.max");
  cpu.limits.cpus = 0.5;
  const Ran inside = run(cpu);
  EXPECT_EQ(inside.error, "");
  EXPECT_THAT(inside.out, ::testing::StartsWith("50000\n"));
}

TEST_P(IsolationTest, ShowsItsOwnCgroupAsTheRootOfVersionTwo) {
  if (!is_root()) GTEST_SKIP() << "laying out cgroups takes root";
  const os::Fd before(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  (void)::umount2("/sys/fs/cgroup", MNT_DETACH);
  const bool mounted = ::mount("cgroup", "/sys/fs/cgroup", "cgroup2", 0, nullptr) == 0;
  const Ran ran = mounted ? run(place().spec("cat /proc/self/cgroup; ls -d /sys/fs/cgroup/cgroup.procs;"
                                             "grep ' /sys/fs/cgroup ' /proc/self/mountinfo | tail -n 1"))
                          : Ran{};
  ASSERT_EQ(::setns(before.get(), CLONE_NEWNS), 0);
  if (!mounted) GTEST_SKIP() << "this kernel has no cgroup2";
  EXPECT_EQ(ran.error, "");
  EXPECT_THAT(ran.out,
              ContainsRegex("0::/\n/sys/fs/cgroup/cgroup.procs\n.* / /sys/fs/cgroup ro,.* cgroup2 "));
}

TEST_P(IsolationTest, WhatHidesAFileCannotBeChanged) {
  struct stat before = {};
  ASSERT_EQ(::stat("/dev/null", &before), 0);
  run_script("chmod 0600 /proc/kcore /proc/keys /proc/timer_list");
  struct stat after = {};
  ASSERT_EQ(::stat("/dev/null", &after), 0);
  if (after.st_mode != before.st_mode) {
    ASSERT_EQ(::chmod("/dev/null", before.st_mode & 07777), 0);
  }
  EXPECT_EQ(after.st_mode, before.st_mode) << "the host's own node";
}

TEST_P(IsolationTest, SaysWhyALimitCannotBeEnforced) {
  if (is_root()) GTEST_SKIP() << "root can";
  ContainerSpec spec = place().spec("echo ran");
  spec.limits.memory_bytes = 32 << 20;
  const Ran ran = run(spec);
  if (ran.error.empty()) GTEST_SKIP() << "this user can limit memory here";
  EXPECT_THAT(ran.error,
              ::testing::StartsWith("error: the limit of 'memory' cannot be enforced\n  cause: "));
  EXPECT_THAT(ran.error, ::testing::EndsWith("\nhint: `--best-effort` goes on without it\n"));
  spec.best_effort = true;
  EXPECT_EQ(run(spec).out, "ran\n");
}

}  // namespace
}  // namespace kist::runtime::testing

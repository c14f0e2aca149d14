// What a command sees and what its caller gets back.
#include "runtime/container.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include "runtime/container_testing.h"

namespace kist::runtime::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

INSTANTIATE_TEST_SUITE_P(As, ContainerTest, users(), user_name);

TEST_P(ContainerTest, GetsExactlyItsArgumentsEnvironmentAndFolder) {
  ContainerSpec spec = place().spec("");
  spec.args = {"sh", "-c", "env; pwd; echo \"$0|$1\"", "a b", ""};
  spec.env = {"PATH=/bin", "NAME=with space\tand tab", "EMPTY="};
  spec.working_dir = "/not/there yet";
  const Ran ran = run(spec);
  EXPECT_EQ(ran.error, "");
  EXPECT_THAT(ran.out, HasSubstr("NAME=with space\tand tab\n"));
  EXPECT_THAT(ran.out, HasSubstr("EMPTY=\n"));
  EXPECT_THAT(ran.out, Not(HasSubstr("HOME=")));
  EXPECT_THAT(ran.out, EndsWith("/not/there yet\na b|\n"));
}

TEST_P(ContainerTest, ExitsAsTheCommandDid) {
  place().write("/bin/plain", "just text");
  place().write("/bin/noformat", "just text", 0755);
  place().write("/bin/nointerpreter", "#!/no/such/shell\n", 0755);
  const struct {
    std::vector<std::string> args;
    int status;
    std::string not_started;
  } cases[] = {
      {{"true"}, 0, ""},
      {{"false"}, 1, ""},
      {{"sh", "-c", "exit 42"}, 42, ""},
      {{"/bin/sh", "-c", "kill -TERM $$"}, 143, ""},
      {{"sh", "-c", "kill -KILL $$"}, 137, ""},
      {{"nope"}, 127, "error: not found in the container: 'nope'\n"},
      {{"/bin/nope"}, 127, "error: not found in the container: '/bin/nope'\n"},
      {{"plain"}, 126, "error: execute '/bin/plain': Permission denied\n"},
      {{"/etc"}, 126, "error: execute '/etc': Permission denied\n"},
      {{"noformat"}, 126, "error: execute '/bin/noformat': Exec format error\n"},
      {{"nointerpreter"},
       127,
       "error: the interpreter or loader that it asks for is missing: '/bin/nointerpreter'\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.args.back());
    ContainerSpec spec = place().spec("");
    spec.args = c.args;
    const Ran ran = run(spec);
    EXPECT_EQ(ran.status, c.status);
    EXPECT_EQ(ran.not_started, c.not_started);
    EXPECT_EQ(ran.error, "");
  }
}

TEST_P(ContainerTest, RefusesWithPreciseMessage) {
  const ContainerSpec good = place().spec("true");
  const auto with = [&](const std::function<void(ContainerSpec&)>& change) {
    ContainerSpec spec = good;
    change(spec);
    return spec;
  };
  const struct {
    ContainerSpec spec;
    std::string error;
  } cases[] = {
      {with([](auto& s) { s.root.lowers = {"/no/such/root"}; }),
       "error: root folder '/no/such/root': No such file or directory\n"},
      {with([](auto& s) { s.root.lowers = {"/etc/passwd"}; }),
       "error: root folder '/etc/passwd' is not a folder\n"},
      {with([](auto& s) { s.root.lowers = {"relative"}; }),
       "error: root folder 'relative' is not an absolute path\n"},
      {with([](auto& s) { s.root.lowers = {}; }),
       "error: a root is either an image or folders, got neither\n"},
      {with([](auto& s) { s.root.erofs_image = "/x"; }),
       "error: a root is either an image or folders, got both\n"},
      {with([](auto& s) { s.args = {}; }), "error: no command to run\n"},
      {with([](auto& s) { s.working_dir = "here"; }),
       "error: working folder 'here' is not an absolute path\n"},
      {with([](auto& s) { s.mounts = {{.source = "/no/such", .target = "/mnt"}}; }),
       "error: open the mount source '/no/such': No such file or directory\n"},
      {with([](auto& s) { s.mounts = {{.source = "/etc", .target = "/"}}; }),
       "error: a mount cannot replace the root '/'\n"},
      {with([](auto& s) { s.mounts = {{.source = "/etc", .target = "/etc/passwd/x"}}; }),
       "error: create the mount target '/etc/passwd/x': Not a directory\n"},
      {with([](auto& s) { s.passwd_line = "a:x:0:0\nb:x:0:0"; }),
       "error: account line 'a:x:0:0\\x0ab:x:0:0' is more than one line\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.error);
    const Ran ran = run(c.spec);
    EXPECT_EQ(ran.error, c.error);
    EXPECT_EQ(ran.status, 125);
    EXPECT_EQ(ran.out, "");
  }
}

TEST_P(ContainerTest, FilesInMountsBelongToTheCaller) {
  ContainerSpec spec =
      place().spec("id -u; id -g; cd /project; touch made; mkdir folder; stat -c %u:%a made");
  spec.mounts = {{.source = place().project(), .target = "/project"}};
  const Ran ran = run(spec);
  EXPECT_EQ(ran.error, "");
  EXPECT_EQ(ran.out, fmt::format("{0}\n{0}\n{0}:644\n", GetParam()));
  struct stat st = {};
  ASSERT_EQ(0, ::stat((place().project() + "/made").c_str(), &st));
  EXPECT_EQ(st.st_uid, GetParam());
  EXPECT_EQ(st.st_gid, GetParam());
  ASSERT_EQ(0, ::stat((place().project() + "/folder").c_str(), &st));
  EXPECT_EQ(st.st_mode & 07777, 0755u);
}

TEST_P(ContainerTest, ShowsAsAnotherIdWhatStaysTheCallerOutside) {
  if (is_root()) GTEST_SKIP() << "root really switches; see RootSwitchesToTheUserForReal";
  ContainerSpec spec = place().spec("id -u; touch /project/made; stat -c %u /project/made");
  spec.uid = spec.gid = 0;
  spec.mounts = {{.source = place().project(), .target = "/project"}};
  EXPECT_EQ(run(spec).out, "0\n0\n");
  struct stat st = {};
  ASSERT_EQ(0, ::stat((place().project() + "/made").c_str(), &st));
  EXPECT_EQ(st.st_uid, GetParam());
}

TEST_P(ContainerTest, RootSwitchesToTheUserForReal) {
  if (!is_root()) GTEST_SKIP() << "needs root";
  ContainerSpec spec =
      place().spec("id; touch /made; grep -E '^(Groups|CapEff)' /proc/self/status");
  spec.uid = 1000;
  spec.gid = 1001;
  spec.groups = {7, 8};
  const Ran ran = run(spec);
  EXPECT_THAT(ran.out, StartsWith("uid=1000 gid=1001"));
  EXPECT_THAT(ran.out, HasSubstr("touch: /made: Permission denied\n"));
  EXPECT_THAT(ran.out, HasSubstr("Groups:\t7 8"));
  EXPECT_THAT(ran.out, HasSubstr("CapEff:\t0000000000000000\n"));
}

TEST_P(ContainerTest, PresentsTheCallerInPasswdUnlessTheImageHasIt) {
  ContainerSpec spec = place().spec("cat /etc/passwd; echo =; cat /etc/group");
  spec.uid = spec.gid = is_root() ? 1000 : GetParam();
  spec.passwd_line = fmt::format("ada:x:{0}:{0}::/home/ada:/bin/sh", spec.uid);
  spec.group_line = fmt::format("ada:x:{}:", spec.gid);
  const std::string root_line = "root:x:0:0:root:/root:/bin/sh\n";
  EXPECT_EQ(run(spec).out, root_line + spec.passwd_line + "\n=\n" + spec.group_line + "\n");

  place().write("/etc/passwd", "no newline at end:x:1:1::/:");
  EXPECT_EQ(run(spec).out,
            "no newline at end:x:1:1::/:\n" + spec.passwd_line + "\n=\n" + spec.group_line + "\n");

  // The id as somebody's group is not the id.
  place().write("/etc/passwd", fmt::format("bob:x:{}:1::/:\n", spec.uid));
  EXPECT_THAT(run(spec).out, StartsWith(fmt::format("bob:x:{}:1::/:\n=\n", spec.uid)));
}

TEST_P(ContainerTest, LaterLowersAreBelow) {
  const std::string top = place().folder() + "/top";
  ASSERT_TRUE(os::make_folders(top + "/etc").has_value());
  ASSERT_TRUE(os::write_file_atomically(top + "/etc/passwd", "top\n").has_value());
  ContainerSpec spec = place().spec("cat /etc/passwd");
  spec.root.lowers = {top, place().root()};
  EXPECT_EQ(run(spec).out, "top\n");
}

TEST_P(ContainerTest, WritesDieWithTheContainer) {
  EXPECT_EQ(run_script("echo x > /etc/new; rm /etc/passwd; ls /etc").error, "");
  EXPECT_FALSE(os::exists(place().root() + "/etc/new"));
  EXPECT_EQ(run_script("cat /etc/passwd").out, "root:x:0:0:root:/root:/bin/sh\n");
}

TEST_P(ContainerTest, KeepsAnUpperFolderOnDisk) {
  ContainerSpec spec = place().spec("echo kept > /etc/new; rm /etc/passwd");
  spec.host_network_files = false;
  const std::string upper = place().folder() + "/upper";
  ASSERT_EQ(0, ::chmod(place().folder().c_str(), 0777));
  spec.upper_folder = upper;
  for (int i = 0; i < 2; ++i) {  // The second time over what the first one left.
    EXPECT_EQ(run(spec).error, "");
    EXPECT_EQ(os::read_file(upper + "/etc/new").value(), "kept\n");
    struct stat st = {};
    ASSERT_EQ(0, ::stat((upper + "/etc/new").c_str(), &st));
    EXPECT_EQ(st.st_uid, GetParam());
    ASSERT_EQ(0, ::lstat((upper + "/etc/passwd").c_str(), &st));
    EXPECT_TRUE(S_ISCHR(st.st_mode)) << "a whiteout";
    EXPECT_FALSE(os::exists(upper + ".work"));
    EXPECT_EQ(os::list_folder(upper).value(), std::vector<std::string>{"etc"});
  }
}

TEST_P(ContainerTest, DiscardsWritesToAMountThatAsksForIt) {
  ASSERT_TRUE(os::write_file_atomically(place().project() + "/old", "old\n").has_value());
  ASSERT_EQ(0, ::chown((place().project() + "/old").c_str(), GetParam(), GetParam()));
  ContainerSpec spec = place().spec(
      "cd /p && echo new > new && echo more >> old && mkdir sub && cat old new && rm old && ls");
  spec.mounts = {{.source = place().project(), .target = "/p", .discard_writes = true},
                 {.source = place().project() + "/old", .target = "/p/deep/file", .discard_writes = true}};
  const Ran done = run(spec);
  EXPECT_EQ(done.error, "");
  EXPECT_EQ(done.out, "old\nmore\nnew\ndeep\nnew\nsub\n");
  EXPECT_EQ(os::list_folder(place().project()).value(), std::vector<std::string>{"old"});
  EXPECT_EQ(os::read_file(place().project() + "/old").value(), "old\n");
}

TEST_P(ContainerTest, GivesTheCommandTheUmaskThatIsAskedFor) {
  ContainerSpec spec = place().spec("umask; touch /project/file");
  spec.mounts = {{.source = place().project(), .target = "/project"}};
  spec.umask = 077;
  EXPECT_EQ(run(spec).out, "0077\n");
  struct stat st = {};
  ASSERT_EQ(0, ::stat((place().project() + "/file").c_str(), &st));
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_P(ContainerTest, MountsFilesFoldersAndTmpfsInOrder) {
  ASSERT_TRUE(os::write_file_atomically(place().project() + "/file", "text\n").has_value());
  ContainerSpec spec = place().spec(
      "cat /a/b/file; cat /a/b/sub/file; df -k /a/b/tmp | grep -c ' 1024 '; stat -c %a "
      "/a/b/tmp; touch /a/b/tmp/x; echo no > /a/b/file; echo no > /a/b/sub/new; ls /a/b/tmp");
  const std::string file = place().project() + "/file";
  spec.mounts = {
      {.type = Mount::Type::tmpfs, .target = "/a/b"},
      {.source = file, .target = "/a/b/file", .read_only = true},
      {.source = place().project(), .target = "/a/b/sub", .read_only = true},
      {.type = Mount::Type::tmpfs, .target = "/a/b/tmp", .size_bytes = 1 << 20, .mode = 0700}};
  const Ran ran = run(spec);
  EXPECT_EQ(ran.error, "");
  EXPECT_EQ(ran.out,
            "text\ntext\n1\n700\nsh: can't create /a/b/file: Read-only file system\n"
            "sh: can't create /a/b/sub/new: Read-only file system\nx\n");
}

TEST_P(ContainerTest, HasDevicesAndFolders) {
  ContainerSpec spec = place().spec(
      "ls /dev; head -c 3 /dev/zero | wc -c; echo lost > /dev/null; head -c 4 /dev/urandom | wc "
      "-c; "
      "stat -c %a /tmp /run /dev/shm; touch /tmp/a /dev/shm/b; df -k /dev/shm | grep -c ' 2048 '"
      "; ls /dev/fd/0; test -w /dev/ptmx && echo ptmx");
  spec.shm_bytes = 2 << 20;
  EXPECT_EQ(run(spec).out,
            "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\n"
            "urandom\nzero\n3\n4\n1777\n755\n1777\n1\n/dev/fd/0\nptmx\n");
}

TEST_P(ContainerTest, PassesStandardStreamsAndAskedForDescriptorsOnly) {
  // Goal: nothing that happens to be open leaks in, whatever its number and whatever its flags.
  int pipe_ends[2];
  ASSERT_EQ(0, ::pipe(pipe_ends));  // Without O_CLOEXEC, and inherited by the runner.
  const int high = ::dup2(pipe_ends[0], 200);
  const os::Fd passed(::open("/dev/null", O_RDONLY));
  ContainerSpec spec = place().spec("echo /proc/self/fd/*; readlink /proc/self/fd/3");
  EXPECT_EQ(run(spec).out, "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n")
      << "3 is the shell's own, on the folder that it lists";
  spec.extra_fds = {&passed};
  EXPECT_THAT(run(spec).out, EndsWith("/proc/self/fd/4\n/dev/null\n"));
  ::close(high);
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}

TEST_P(ContainerTest, LowersResourceLimitsToWhatIsAllowed) {
  rlimit mine = {};
  ASSERT_EQ(0, ::getrlimit(RLIMIT_NOFILE, &mine));
  ContainerSpec spec = place().spec("ulimit -Sn; ulimit -Hn; ulimit -Sc");
  spec.resource_limits = {{RLIMIT_NOFILE, 100, mine.rlim_max * 2}, {RLIMIT_CORE, 0, 0}};
  EXPECT_EQ(run(spec).out, fmt::format("100\n{}\n0\n", mine.rlim_max));
}

TEST_P(ContainerTest, NamesTheHost) {
  char name[256] = {};
  ASSERT_EQ(0, ::gethostname(name, sizeof name - 1));
  EXPECT_EQ(run_script("hostname").out, std::string(name) + "\n");
  ContainerSpec spec = place().spec("hostname");
  spec.hostname = "penguin";
  EXPECT_EQ(run(spec).out, "penguin\n");
}

TEST_P(ContainerTest, WithoutNetworkHasALoopbackThatIsUp) {
  ContainerSpec spec =
      place().spec("ifconfig -a | grep -c Link; ifconfig lo | grep -o 'UP LOOPBACK'");
  spec.network = Network::none;
  EXPECT_EQ(run(spec).out, "1\nUP LOOPBACK\n");
}

TEST_P(ContainerTest, ShowsTheHostsResolverUnlessToldNot) {
  if (!os::exists("/etc/hosts")) GTEST_SKIP() << "this host has no /etc/hosts";
  ContainerSpec spec = place().spec("cat /etc/hosts; echo x >> /etc/hosts");
  EXPECT_EQ(run(spec).out,
            fmt::format("{}sh: can't create /etc/hosts: {}\n", os::read_file("/etc/hosts").value(),
                        is_root() ? "Read-only file system" : "Permission denied"));
  spec.host_network_files = false;
  EXPECT_THAT(run(spec).out, HasSubstr("can't open '/etc/hosts'"));
}

}  // namespace
}  // namespace kist::runtime::testing

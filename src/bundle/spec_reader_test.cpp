#include "bundle/spec_reader.h"
#include "bundle/spec_writer.h"

#include <gtest/gtest.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

namespace kist::bundle {
namespace {

// A configuration with `linux` as its last member.
std::string with_linux(const std::string& text) {
  return R"({"ociVersion":"1.2.0","root":{"path":"rootfs"},"linux":)" + text + "}";
}
std::string with_process(const std::string& text) {
  return R"({"ociVersion":"1.2.0","root":{"path":"rootfs"},"process":)" + text + "}";
}

TEST(SpecReaderTest, WhatIsNeededIsLittle) {
  const auto spec = read_spec(R"({"ociVersion":"1.0.2-dev","root":{"path":"rootfs"}})");
  ASSERT_TRUE(spec) << spec.error().render();
  EXPECT_EQ(spec->root_path, "rootfs");
  EXPECT_FALSE(spec->process);
}

TEST(SpecReaderTest, ReadsAProcess) {
  const auto spec = read_spec(with_process(
      R"({"terminal":true,"consoleSize":{"height":30,"width":90},"cwd":"/w","args":["a","b"],
          "env":["A=b"],"user":{"uid":1,"gid":2,"umask":63,"additionalGids":[3,4]},
          "capabilities":{"bounding":["CAP_CHOWN","CAP_NEW_THING"],"ambient":["CAP_KILL"]},
          "rlimits":[{"type":"RLIMIT_NOFILE","soft":5,"hard":6}],"oomScoreAdj":-7,
          "ioPriority":{"class":"IOPRIO_CLASS_IDLE","priority":3}})"));
  ASSERT_TRUE(spec) << spec.error().render();
  const Process& process = *spec->process;
  EXPECT_TRUE(process.terminal);
  EXPECT_EQ(process.console_rows, 30);
  EXPECT_EQ(process.args, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(process.user.umask, 077u);
  EXPECT_EQ(process.user.additional_gids, (std::vector<uint32_t>{3, 4}));
  EXPECT_EQ(process.capabilities->bounding, 1u);
  EXPECT_EQ(process.capabilities->ambient, 1u << 5);
  EXPECT_EQ(process.capabilities->unknown, std::vector<std::string>{"CAP_NEW_THING"});
  EXPECT_EQ(process.rlimits[0].resource, RLIMIT_NOFILE);
  EXPECT_EQ(process.oom_score_adj, -7);
  EXPECT_EQ(process.io_priority->io_class, 3u);
}

// The whole message is what people read; the conformance cases have many more of them.
TEST(SpecReaderTest, NamesTheWrongFieldByItsPath) {
  const struct {
    std::string input;
    std::string message;
  } cases[] = {
      {"[]", "not a JSON object"},
      {"{", "not JSON: incomplete JSON at byte 1"},
      {"{} x", "not JSON: extra data at byte 3"},
      {R"({"ociVersion":"1.2.0"})", "root: is missing"},
      {R"({"ociVersion":"3.0.0","root":{"path":"x"}})", "ociVersion: only version 1 is supported"},
      {with_linux(R"({"namespaces":[{"type":"pid"},{"type":"network"},{"type":"netwrk"}]})"),
       "linux.namespaces[2].type: \"netwrk\" is not a namespace; did you mean \"network\"?"},
      {with_linux(R"({"namespaces":[{"type":"pid"},{"type":"pid"}]})"),
       "linux.namespaces[1].type: \"pid\" is there twice"},
      {with_linux(R"({"resources":{"pids":{"limit":1.5}}})"),
       "linux.resources.pids.limit: want an integer from -9223372036854775808 to "
       "9223372036854775807, got 1.5E0"},
      {with_linux(R"({"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[7]}})"),
       "linux.seccomp.syscalls[0]: want an object, got 7"},
      {with_linux(R"({"intelRdt":{}})"),
       "linux.intelRdt: Intel RDT (cache and memory bandwidth classes) is not supported"},
      {with_process(R"({"cwd":"x","args":["a"]})"),
       "process.cwd: want an absolute path, got \"x\""},
      {with_process(R"({"cwd":"/","args":["a\u0000b"]})"), "process.args[0]: has a NUL byte"},
      {with_process(R"({"cwd":"/","args":["a"],"user":{"uid":4294967296}})"),
       "process.user.uid: want an integer from 0 to 4294967295, got 4294967296"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.input);
    const auto got = read_spec(c.input);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
  }
}

TEST(SpecReaderTest, HostileSizesAreRefused) {
  EXPECT_FALSE(read_spec(std::string(kMaxConfigBytes + 1, ' ')));
  std::string deep = R"({"ociVersion":"1.2.0","root":{"path":"x"},"y":)";
  deep += std::string(5000, '[') + std::string(5000, ']') + "}";
  EXPECT_FALSE(read_spec(deep));
  std::string many = "[0";
  for (int i = 0; i < 70'000; ++i) many += ",0";
  const auto got = read_spec(with_process(R"({"cwd":"/","args":)" + many + "]}"));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().message(), "process.args: more than 65536 items");
}

TEST(SpecReaderTest, NullIsAsIfItWereNotThere) {
  const auto spec = read_spec(with_linux(R"({"namespaces":null,"resources":null,"seccomp":null})"));
  ASSERT_TRUE(spec) << spec.error().render();
  EXPECT_FALSE(spec->seccomp);
}

// Goal: what start, exec and remove read later is what the container was made from.
TEST(SpecWriterTest, IsReadBack) {
  const auto spec = read_spec(
      R"({"ociVersion":"1.1.0","root":{"path":"/r"},
          "process":{"cwd":"/w","args":["a"],"env":["B=c"],"user":{"uid":3,"gid":4,"umask":7,"additionalGids":[5]},
            "capabilities":{"bounding":["CAP_KILL"]},"rlimits":[{"type":"RLIMIT_CORE","soft":1,"hard":2}],
            "noNewPrivileges":true},
          "hooks":{"poststop":[{"path":"/h","args":["h","x"],"env":["Y=z"],"timeout":9}]},
          "linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/n"}],
            "personality":{"domain":"LINUX32"},
            "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],
              "flags":["SECCOMP_FILTER_FLAG_LOG"],
              "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW",
                           "args":[{"index":1,"value":18446744073709551615,"op":"SCMP_CMP_NE"}]}]}}})");
  ASSERT_TRUE(spec) << spec.error().render();
  const std::string text = spec_text(*spec);
  const auto again = read_spec(text);
  ASSERT_TRUE(again) << again.error().render();
  EXPECT_EQ(spec_text(*again), text);
  EXPECT_EQ(again->process->user.umask, 7u);
  EXPECT_EQ(again->process->capabilities->bounding, 1u << 5);
  EXPECT_EQ(again->hooks.poststop[0].timeout_s, 9);
  EXPECT_EQ(again->namespaces[1].path, "/n");
  EXPECT_EQ(again->seccomp->rules[0].arguments[0].value, UINT64_MAX);
  EXPECT_EQ(again->personality, 8ul);
}

MountOptions options_of(std::initializer_list<const char*> list) {
  MountOptions options;
  for (const char* option : list) add_mount_option(option, options);
  return options;
}

TEST(MountOptionsTest, FlagsAreForNewFileSystemsAndAttributesForBinds) {
  const MountOptions options = options_of({"nosuid", "ro", "size=5m", "mode=755"});
  EXPECT_EQ(options.flags, static_cast<unsigned long>(MS_NOSUID | MS_RDONLY));
  EXPECT_EQ(options.attributes_set, uint64_t{MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY});
  EXPECT_EQ(options.data, "size=5m,mode=755");
}

TEST(MountOptionsTest, TheLastOneWins) {
  EXPECT_EQ(options_of({"ro", "rw"}).flags, 0u);
  EXPECT_EQ(options_of({"ro", "rw"}).attributes_cleared, uint64_t{MOUNT_ATTR_RDONLY});
  EXPECT_EQ(options_of({"rw", "ro"}).attributes_cleared, 0u);
  EXPECT_EQ(options_of({"noatime", "relatime"}).attributes_set, uint64_t{MOUNT_ATTR_RELATIME});
}

TEST(MountOptionsTest, RecursiveOnesAreApart) {
  const MountOptions options = options_of({"rbind", "rro", "rnosuid", "rprivate", "slave"});
  EXPECT_TRUE(options.bind && options.recursive);
  EXPECT_EQ(options.recursive_set, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID});
  EXPECT_EQ(options.attributes_set, 0u);
  EXPECT_EQ(options.propagation, (std::vector<unsigned long>{MS_PRIVATE | MS_REC, MS_SLAVE}));
}

TEST(CapabilityTest, Names) {
  EXPECT_EQ(capability_number("CAP_SYS_ADMIN"), 21);
  EXPECT_EQ(capability_number("net_raw"), 13);
  EXPECT_EQ(capability_number("CAP_NONE"), std::nullopt);
}

}  // namespace
}  // namespace kist::bundle

#include "bundle/seccomp_profile.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

#include <algorithm>

#include "bundle/seccomp_filter.h"

namespace kist::bundle {
namespace {

constexpr uint64_t bit(int capability) { return uint64_t{1} << capability; }

bool allows(const Seccomp& profile, std::string_view call) {
  return std::any_of(profile.rules.begin(), profile.rules.end(), [&](const SeccompRule& rule) {
    return rule.action == SeccompAction::allow && rule.arguments.empty() &&
           std::find(rule.names.begin(), rule.names.end(), call) != rule.names.end();
  });
}

std::string profile(const std::string& rule) {
  return R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [)" + rule + "]}";
}

TEST(SeccompProfileTest, ReadsWhatFits) {
  const std::string bytes = profile(R"(
    {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
    {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["s390_runtime_instr"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390"]}},
    {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    {"names": ["never"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.1"}},
    {"name": "old", "action": "SCMP_ACT_ALLOW", "comment": "x", "args": null})");
  const Seccomp plain = read_seccomp_profile(bytes, 0).value();
  EXPECT_TRUE(allows(plain, "read"));
  EXPECT_TRUE(allows(plain, "ptrace"));
  EXPECT_TRUE(allows(plain, "old"));
  EXPECT_FALSE(allows(plain, "bpf"));
  EXPECT_FALSE(allows(plain, "never"));
  EXPECT_FALSE(allows(plain, "s390_runtime_instr"));
  EXPECT_EQ(plain.rules.size(), 4u);
  const Seccomp admin = read_seccomp_profile(bytes, bit(CAP_SYS_ADMIN)).value();
  EXPECT_TRUE(allows(admin, "bpf"));
  EXPECT_EQ(admin.rules.size(), 4u);
  EXPECT_TRUE(compile_seccomp(admin).has_value());
}

TEST(SeccompProfileTest, SaysWhatIsWrong) {
  const auto message = [](const std::string& bytes) {
    const auto read = read_seccomp_profile(bytes, 0);
    return read ? std::string("read") : read.error().render();
  };
  EXPECT_NE(message("nonsense").find("seccomp profile"), std::string::npos);
  EXPECT_NE(message("{}").find("defaultAction"), std::string::npos);
  EXPECT_NE(message(profile(R"({"names": [], "action": "SCMP_ACT_ALLOW"})")).find("syscalls[0].names"),
            std::string::npos);
  EXPECT_NE(message(profile(R"({"names": ["read"], "action": "maybe"})")).find("syscalls[0].action"),
            std::string::npos);
  EXPECT_NE(message(profile(R"({"names": ["read"], "action": "SCMP_ACT_NOTIFY"})")).find("listens"),
            std::string::npos);
  EXPECT_NE(message(profile(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": 5})")).find("includes"),
            std::string::npos);
  EXPECT_NE(message(std::string(kMaxProfileBytes + 1, ' ')).find("bytes"), std::string::npos);
}

TEST(SeccompProfileTest, BuiltInOpensWithCapabilities) {
  EXPECT_FALSE(opens_system_calls(0));
  EXPECT_FALSE(opens_system_calls(bit(CAP_CHOWN) | bit(CAP_SYS_CHROOT)));
  EXPECT_TRUE(opens_system_calls(bit(CAP_SYS_ADMIN)));
  const Seccomp admin = built_in_seccomp(bit(CAP_SYS_ADMIN));
  for (const char* call : {"mount", "unshare", "clone", "clone3", "read"}) EXPECT_TRUE(allows(admin, call)) << call;
  EXPECT_FALSE(allows(admin, "init_module"));
  EXPECT_TRUE(compile_seccomp(admin).has_value());
  const Seccomp time = built_in_seccomp(bit(CAP_SYS_TIME));
  EXPECT_TRUE(allows(time, "clock_settime"));
  EXPECT_FALSE(allows(time, "mount"));
  EXPECT_FALSE(allows(time, "clone"));
  EXPECT_TRUE(compile_seccomp(time).has_value());
}

}  // namespace
}  // namespace kist::bundle

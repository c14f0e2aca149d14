#include "bundle/seccomp_profile.h"

#include <linux/capability.h>
#include <seccomp.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "bundle/spec_parts.h"
#include "bundle/spec_reader.h"
#include "runtime/seccomp_generator/profile.h"

namespace kist::bundle {
namespace {

namespace table = seccomp_generator;

// As Go names it, since docker's profiles do.
#if defined(__x86_64__)
constexpr std::string_view kArchitecture = "amd64";
constexpr std::string_view kNative = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
constexpr std::string_view kArchitecture = "arm64";
constexpr std::string_view kNative = "SCMP_ARCH_AARCH64";
#else
#error "no seccomp profile for this architecture"
#endif

constexpr uint64_t bit(int capability) { return uint64_t{1} << capability; }

// Docker's rules with a condition (moby, profiles/seccomp/default_linux.go).
struct Opened {
  uint64_t capability;
  std::array<const char*, 24> calls;
};
constexpr Opened kOpened[] = {
    {bit(CAP_DAC_READ_SEARCH), {"open_by_handle_at"}},
    {bit(CAP_SYS_ADMIN),
     {"bpf",   "clone",      "clone3",        "fanotify_init", "fsconfig",    "fsmount",  "fsopen", "fspick",
      "mount", "lookup_dcookie", "mount_setattr", "move_mount",    "open_tree",   "perf_event_open", "quotactl",
      "quotactl_fd", "setdomainname", "sethostname", "setns",  "syslog", "umount", "umount2", "unshare"}},
    {bit(CAP_SYS_BOOT), {"reboot"}},
    {bit(CAP_SYS_MODULE), {"delete_module", "init_module", "finit_module"}},
    {bit(CAP_SYS_PACCT), {"acct"}},
    {bit(CAP_SYS_PTRACE), {"kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"}},
    {bit(CAP_SYS_RAWIO), {"iopl", "ioperm"}},
    {bit(CAP_SYS_TIME), {"settimeofday", "stime", "clock_settime", "clock_settime64"}},
    {bit(CAP_SYS_TTY_CONFIG), {"vhangup"}},
    {bit(CAP_SYS_NICE), {"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"}},
    {bit(CAP_SYSLOG), {"syslog"}},
    {bit(CAP_BPF), {"bpf"}},
    {bit(CAP_PERFMON), {"perf_event_open"}},
};

bool kernel_is_at_least(const std::string& wanted) {
  utsname name = {};
  unsigned have[2] = {};
  unsigned want[2] = {};
  if (::uname(&name) != 0 || std::sscanf(name.release, "%u.%u", &have[0], &have[1]) != 2) return false;
  if (std::sscanf(wanted.c_str(), "%u.%u", &want[0], &want[1]) < 1) return false;
  return have[0] != want[0] ? have[0] > want[0] : have[1] >= want[1];
}

struct Condition {
  std::vector<std::string> architectures;
  std::vector<std::string> capabilities;
  std::string kernel;
};

Condition read_condition(const Value& json) {
  Condition out;
  if (!json.present()) return out;
  json["arches"].to(out.architectures);
  json["caps"].to(out.capabilities);
  json["minKernel"].to(out.kernel);
  return out;
}

bool has(const std::string& capability, uint64_t capabilities) {
  const std::optional<int> number = capability_number(capability);
  return number && (capabilities & bit(*number)) != 0;
}

bool is_named(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool applies(const Value& rule, uint64_t capabilities) {
  const Condition excludes = read_condition(rule["excludes"]);
  if (is_named(excludes.architectures, kArchitecture)) return false;
  for (const std::string& name : excludes.capabilities)
    if (has(name, capabilities)) return false;
  if (!excludes.kernel.empty() && kernel_is_at_least(excludes.kernel)) return false;
  const Condition includes = read_condition(rule["includes"]);
  if (!includes.architectures.empty() && !is_named(includes.architectures, kArchitecture)) return false;
  for (const std::string& name : includes.capabilities)
    if (!has(name, capabilities)) return false;
  return includes.kernel.empty() || kernel_is_at_least(includes.kernel);
}

void read_architectures(const Value& json, std::vector<uint32_t>& out) {
  const auto add = [&](const Value& item) {
    out.push_back(static_cast<uint32_t>(read_word(item, seccomp_architecture_words(), "an architecture")));
  };
  json["architectures"].each(add);
  json["archMap"].each([&](const Value& item) {
    std::string name;
    item["architecture"].to(name);
    if (name != kNative) return;
    add(item["architecture"]);
    item["subArchitectures"].each(add);
  });
}

SeccompRule allow(std::vector<std::string> names) { return {.names = std::move(names), .action = SeccompAction::allow}; }

// All arguments that are looked at are ints: their upper half is anything.
SeccompArgument low_half(uint32_t index, uint32_t mask, uint32_t value) {
  return {.index = index, .value = mask, .value_two = value, .operation = SCMP_CMP_MASKED_EQ};
}

void add_if_equal(Seccomp& out, const char* call, uint32_t value) {
  SeccompRule rule = allow({call});
  rule.arguments = {low_half(0, ~0u, value)};
  out.rules.push_back(std::move(rule));
}

}  // namespace

Result<Seccomp> read_seccomp_profile(std::string_view bytes, uint64_t capabilities) {
  if (bytes.size() > kMaxProfileBytes) return Error(Code::invalid, "a seccomp profile of {} bytes", bytes.size());
  Document document(bytes);
  const Value root = document.root();
  Seccomp out;
  out.default_action =
      static_cast<SeccompAction>(read_word(root["defaultAction"], seccomp_action_words(), "an action"));
  root["defaultErrnoRet"].to(out.default_error_number);
  read_architectures(root, out.architectures);
  root["flags"].each([&](const Value& item) {
    out.flags |= static_cast<uint32_t>(read_word(item, seccomp_flag_words(), "a filter flag"));
  });
  root["syscalls"].each([&](const Value& item) {
    if (!applies(item, capabilities)) return;
    SeccompRule rule;
    read_seccomp_rule(item, rule);
    if (rule.action == SeccompAction::notify)
      item["action"].refuse(Code::unsupported, "nobody listens to SCMP_ACT_NOTIFY here");
    out.rules.push_back(std::move(rule));
  });
  if (document.error()) return Error(*document.error()).context("seccomp profile");
  return out;
}

bool opens_system_calls(uint64_t capabilities) {
  return std::any_of(std::begin(kOpened), std::end(kOpened),
                     [&](const Opened& opened) { return (capabilities & opened.capability) != 0; });
}

Seccomp built_in_seccomp(uint64_t capabilities) {
  Seccomp out;
  out.default_action = SeccompAction::error_number;
#if defined(__x86_64__)
  out.architectures = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32};
#else
  out.architectures = {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
  out.rules.push_back(allow({std::begin(table::kAllowedOnArm), std::end(table::kAllowedOnArm)}));
#endif
  std::vector<std::string> names{std::begin(table::kAllowed), std::end(table::kAllowed)};
  names.emplace_back("ioctl");
  for (const Opened& opened : kOpened)
    if ((capabilities & opened.capability) != 0)
      for (const char* name : opened.calls)
        if (name != nullptr && !is_named(names, name)) names.emplace_back(name);
  out.rules.push_back(allow(std::move(names)));
  if ((capabilities & bit(CAP_SYS_ADMIN)) == 0) {
    SeccompRule clone = allow({"clone"});
    clone.arguments = {low_half(0, table::kNamespaceFlags, 0)};
    out.rules.push_back(std::move(clone));
    SeccompRule missing = allow({std::begin(table::kMissing), std::end(table::kMissing)});
    missing.action = SeccompAction::error_number;
    missing.error_number = ENOSYS;
    out.rules.push_back(std::move(missing));
  }
  constexpr uint32_t kMostFamilies = 64;
  for (uint32_t family = 0; family < kMostFamilies; ++family)
    if ((table::kFamilies >> family & 1) != 0) add_if_equal(out, "socket", family);
  for (const uint32_t personality : table::kPersonalities) add_if_equal(out, "personality", personality);
  return out;
}

}  // namespace kist::bundle

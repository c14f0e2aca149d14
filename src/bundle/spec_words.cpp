#include "bundle/spec_words.h"

#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "bundle/spec.h"

namespace kist::bundle {
namespace {

constexpr uint64_t number(SeccompAction action) { return static_cast<uint64_t>(action); }

constexpr Word kNamespaces[] = {{"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC},
                                {"mount", CLONE_NEWNS},      {"network", CLONE_NEWNET},
                                {"pid", CLONE_NEWPID},       {"time", CLONE_NEWTIME},
                                {"user", CLONE_NEWUSER},     {"uts", CLONE_NEWUTS}};

constexpr Word kRlimits[] = {{"RLIMIT_AS", RLIMIT_AS},
                             {"RLIMIT_CORE", RLIMIT_CORE},
                             {"RLIMIT_CPU", RLIMIT_CPU},
                             {"RLIMIT_DATA", RLIMIT_DATA},
                             {"RLIMIT_FSIZE", RLIMIT_FSIZE},
                             {"RLIMIT_LOCKS", RLIMIT_LOCKS},
                             {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
                             {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
                             {"RLIMIT_NICE", RLIMIT_NICE},
                             {"RLIMIT_NOFILE", RLIMIT_NOFILE},
                             {"RLIMIT_NPROC", RLIMIT_NPROC},
                             {"RLIMIT_RSS", RLIMIT_RSS},
                             {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
                             {"RLIMIT_RTTIME", RLIMIT_RTTIME},
                             {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
                             {"RLIMIT_STACK", RLIMIT_STACK}};

constexpr Word kCapabilities[] = {{"CAP_CHOWN", 0},
                                  {"CAP_DAC_OVERRIDE", 1},
                                  {"CAP_DAC_READ_SEARCH", 2},
                                  {"CAP_FOWNER", 3},
                                  {"CAP_FSETID", 4},
                                  {"CAP_KILL", 5},
                                  {"CAP_SETGID", 6},
                                  {"CAP_SETUID", 7},
                                  {"CAP_SETPCAP", 8},
                                  {"CAP_LINUX_IMMUTABLE", 9},
                                  {"CAP_NET_BIND_SERVICE", 10},
                                  {"CAP_NET_BROADCAST", 11},
                                  {"CAP_NET_ADMIN", 12},
                                  {"CAP_NET_RAW", 13},
                                  {"CAP_IPC_LOCK", 14},
                                  {"CAP_IPC_OWNER", 15},
                                  {"CAP_SYS_MODULE", 16},
                                  {"CAP_SYS_RAWIO", 17},
                                  {"CAP_SYS_CHROOT", 18},
                                  {"CAP_SYS_PTRACE", 19},
                                  {"CAP_SYS_PACCT", 20},
                                  {"CAP_SYS_ADMIN", 21},
                                  {"CAP_SYS_BOOT", 22},
                                  {"CAP_SYS_NICE", 23},
                                  {"CAP_SYS_RESOURCE", 24},
                                  {"CAP_SYS_TIME", 25},
                                  {"CAP_SYS_TTY_CONFIG", 26},
                                  {"CAP_MKNOD", 27},
                                  {"CAP_LEASE", 28},
                                  {"CAP_AUDIT_WRITE", 29},
                                  {"CAP_AUDIT_CONTROL", 30},
                                  {"CAP_SETFCAP", 31},
                                  {"CAP_MAC_OVERRIDE", 32},
                                  {"CAP_MAC_ADMIN", 33},
                                  {"CAP_SYSLOG", 34},
                                  {"CAP_WAKE_ALARM", 35},
                                  {"CAP_BLOCK_SUSPEND", 36},
                                  {"CAP_AUDIT_READ", 37},
                                  {"CAP_PERFMON", 38},
                                  {"CAP_BPF", 39},
                                  {"CAP_CHECKPOINT_RESTORE", 40}};

constexpr Word kPropagations[] = {
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC}};

constexpr Word kSeccompActions[] = {{"SCMP_ACT_KILL", number(SeccompAction::kill_thread)},
                                    {"SCMP_ACT_KILL_PROCESS", number(SeccompAction::kill_process)},
                                    {"SCMP_ACT_KILL_THREAD", number(SeccompAction::kill_thread)},
                                    {"SCMP_ACT_TRAP", number(SeccompAction::trap)},
                                    {"SCMP_ACT_ERRNO", number(SeccompAction::error_number)},
                                    {"SCMP_ACT_TRACE", number(SeccompAction::trace)},
                                    {"SCMP_ACT_ALLOW", number(SeccompAction::allow)},
                                    {"SCMP_ACT_LOG", number(SeccompAction::log)},
                                    {"SCMP_ACT_NOTIFY", number(SeccompAction::notify)}};

constexpr Word kSeccompOperators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE}, {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE}, {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE}, {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};

constexpr Word kSeccompFlags[] = {{"SECCOMP_FILTER_FLAG_TSYNC", 1},
                                  {"SECCOMP_FILTER_FLAG_LOG", 2},
                                  {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4},
                                  {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 32}};

constexpr Word kSeccompArchitectures[] = {
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64}};

constexpr Word kPolicies[] = {{"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},
                              {"SCHED_BATCH", 3}, {"SCHED_ISO", 4},  {"SCHED_IDLE", 5},
                              {"SCHED_DEADLINE", 6}};

constexpr Word kSchedulerFlags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01}, {"SCHED_FLAG_RECLAIM", 0x02},
    {"SCHED_FLAG_DL_OVERRUN", 0x04},    {"SCHED_FLAG_KEEP_POLICY", 0x08},
    {"SCHED_FLAG_KEEP_PARAMS", 0x10},   {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}};

constexpr Word kIoClasses[] = {
    {"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};

}  // namespace

std::span<const Word> namespace_words() { return kNamespaces; }
std::span<const Word> rlimit_words() { return kRlimits; }
std::span<const Word> capability_words() { return kCapabilities; }
std::span<const Word> propagation_words() { return kPropagations; }
std::span<const Word> seccomp_action_words() { return kSeccompActions; }
std::span<const Word> seccomp_operator_words() { return kSeccompOperators; }
std::span<const Word> seccomp_flag_words() { return kSeccompFlags; }
std::span<const Word> seccomp_architecture_words() { return kSeccompArchitectures; }
std::span<const Word> scheduler_policy_words() { return kPolicies; }
std::span<const Word> scheduler_flag_words() { return kSchedulerFlags; }
std::span<const Word> io_class_words() { return kIoClasses; }

std::optional<uint64_t> number_of(std::span<const Word> words, std::string_view name) {
  for (const Word& word : words)
    if (word.name == name) return word.number;
  return std::nullopt;
}

}  // namespace kist::bundle

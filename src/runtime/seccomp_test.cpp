// The compiled filter, run by a small interpreter of our own: what it answers to which call.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include "runtime/seccomp_filter.inc"

namespace kist::runtime {
namespace {

// Only what the generator emits; anything else is a failure, not a pass.
uint32_t answer(const seccomp_data& data) {
  uint32_t accumulator = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&data);
  for (size_t at = 0; at < std::size(kist_seccomp_filter); ++at) {
    const sock_filter& i = kist_seccomp_filter[at];
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (i.k + 4 > sizeof data) return 0xdead0001;
        std::memcpy(&accumulator, bytes + i.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= i.k;
        break;
      case BPF_JMP | BPF_JA:
        at += i.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == i.k ? i.jt : i.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= i.k ? i.jt : i.jf;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        at += (accumulator & i.k) != 0 ? i.jt : i.jf;
        break;
      case BPF_RET | BPF_K:
        return i.k;
      default:
        return 0xdead0002;
    }
  }
  return 0xdead0003;
}

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kDeny = SECCOMP_RET_ERRNO | EPERM;
constexpr uint32_t kMissing = SECCOMP_RET_ERRNO | ENOSYS;
#if defined(__x86_64__)
constexpr uint32_t kNative = AUDIT_ARCH_X86_64;
#else
constexpr uint32_t kNative = AUDIT_ARCH_AARCH64;
#endif

struct Case {
  const char* what;
  uint32_t architecture;
  uint32_t number;
  uint64_t first;
  uint64_t second;
  uint32_t expected;
};

void check(const Case& c) {
  SCOPED_TRACE(c.what);
  seccomp_data data = {};
  data.nr = static_cast<int>(c.number);
  data.arch = c.architecture;
  data.args[0] = c.first;
  data.args[1] = c.second;
  EXPECT_EQ(answer(data), c.expected);
}

TEST(SeccompTest, AnswersAsDockersProfile) {
  const Case cases[] = {
      {"read", kNative, SYS_read, 0, 0, kAllow},
      {"execve", kNative, SYS_execve, 0, 0, kAllow},
      {"openat2", kNative, SYS_openat2, 0, 0, kAllow},
      {"chroot, by CAP_SYS_CHROOT", kNative, SYS_chroot, 0, 0, kAllow},
      {"ptrace", kNative, SYS_ptrace, 0, 0, kAllow},
      {"fchmodat2, unknown to libseccomp", kNative, 452, 0, 0, kAllow},
      {"mseal, unknown to libseccomp", kNative, 462, 0, 0, kAllow},
      {"mount", kNative, SYS_mount, 0, 0, kDeny},
      {"umount2", kNative, SYS_umount2, 0, 0, kDeny},
      {"unshare", kNative, SYS_unshare, 0, 0, kDeny},
      {"setns", kNative, SYS_setns, 0, 0, kDeny},
      {"bpf", kNative, SYS_bpf, 0, 0, kDeny},
      {"keyctl", kNative, SYS_keyctl, 0, 0, kDeny},
      {"io_uring_setup", kNative, SYS_io_uring_setup, 0, 0, kDeny},
      {"userfaultfd", kNative, SYS_userfaultfd, 0, 0, kDeny},
      {"reboot", kNative, SYS_reboot, 0, 0, kDeny},
      {"open_by_handle_at", kNative, SYS_open_by_handle_at, 0, 0, kDeny},
      {"clone3, so that libc falls back", kNative, SYS_clone3, 0, 0, kMissing},
      {"the last one known", kNative, 466, 0, 0, kAllow},
      {"the first one unknown", kNative, 467, 0, 0, kMissing},
      {"far beyond", kNative, 100000, 0, 0, kMissing},
      {"a thread", kNative, SYS_clone, 0x3d0f00, 0, kAllow},
      {"a user namespace", kNative, SYS_clone, 0x10000000 | 17, 0, kDeny},
      {"a mount namespace", kNative, SYS_clone, 0x00020000 | 17, 0, kDeny},
      {"AF_UNIX", kNative, SYS_socket, 1, 0, kAllow},
      {"AF_INET6", kNative, SYS_socket, 10, 0, kAllow},
      {"AF_NETLINK", kNative, SYS_socket, 16, 0, kAllow},
      {"AF_ALG", kNative, SYS_socket, 38, 0, kDeny},
      {"AF_VSOCK", kNative, SYS_socket, 40, 0, kDeny},
      {"AF_DECnet", kNative, SYS_socket, 12, 0, kDeny},
      {"a family of the future", kNative, SYS_socket, 46, 0, kDeny},
      {"a family of 64 bits", kNative, SYS_socket, (uint64_t{1} << 32) | 1, 0, kAllow},
      {"the usual personality", kNative, SYS_personality, 0, 0, kAllow},
      {"asking for it", kNative, SYS_personality, 0xffffffff, 0, kAllow},
      {"no address randomisation", kNative, SYS_personality, 0x0040000, 0, kDeny},
      {"terminal size", kNative, SYS_ioctl, 0, 0x5413, kAllow},
      {"typing into the terminal", kNative, SYS_ioctl, 0, 0x5412, kDeny},
      {"typing with garbage above", kNative, SYS_ioctl, 0, (uint64_t{7} << 32) | 0x5412, kDeny},
      {"the console's selection", kNative, SYS_ioctl, 0, 0x541C, kDeny},
      {"an architecture that is none", 0x12345678, SYS_read, 0, 0, SECCOMP_RET_KILL_PROCESS},
  };
  for (const Case& c : cases) check(c);
}

#if defined(__x86_64__)
TEST(SeccompTest, KnowsTheOtherTwoWaysIntoTheKernel) {
  constexpr uint32_t kX32Bit = 0x40000000;
  const Case cases[] = {
      {"i386 read", AUDIT_ARCH_I386, 3, 0, 0, kAllow},
      {"i386 socketcall", AUDIT_ARCH_I386, 102, 0, 0, kAllow},
      {"i386 mount", AUDIT_ARCH_I386, 21, 0, 0, kDeny},
      {"i386 ioctl", AUDIT_ARCH_I386, 54, 0, 0x5412, kDeny},
      {"i386 clone", AUDIT_ARCH_I386, 120, 0x10000000, 0, kDeny},
      {"i386 clone3", AUDIT_ARCH_I386, 435, 0, 0, kMissing},
      {"i386 beyond", AUDIT_ARCH_I386, 467, 0, 0, kMissing},
      {"x32 read", kNative, kX32Bit | 0, 0, 0, kAllow},
      {"x32 mount", kNative, kX32Bit | 165, 0, 0, kDeny},
      {"x32 ioctl", kNative, kX32Bit | 514, 0, 0x5412, kDeny},
      {"x32 execve", kNative, kX32Bit | 520, 0, 0, kAllow},
      {"x32 ioctl without its bit", kNative, 514, 0, 0x5412, kDeny},
      {"x32 beyond", kNative, kX32Bit | 548, 0, 0, kMissing},
  };
  for (const Case& c : cases) check(c);
}
#endif

}  // namespace
}  // namespace kist::runtime

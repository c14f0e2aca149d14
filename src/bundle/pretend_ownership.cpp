#include "bundle/pretend_ownership.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#include <cstddef>

namespace kist::bundle {
namespace {

struct Calls {
  uint32_t architecture;
  std::vector<uint32_t> numbers;  // chown, lchown, fchown, fchownat, and those with 32 bits.
};

std::vector<Calls> calls() {
#if defined(__x86_64__)
  return {{AUDIT_ARCH_X86_64, {92, 93, 94, 260}}, {AUDIT_ARCH_I386, {16, 95, 182, 198, 207, 212, 298}}};
#elif defined(__aarch64__)
  return {{AUDIT_ARCH_AARCH64, {54, 55}}, {AUDIT_ARCH_ARM, {16, 95, 182, 198, 207, 212, 325}}};
#else
#error "which numbers has chown here?"
#endif
}

sock_filter load(size_t offset) { return {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offset)}; }
sock_filter give(uint32_t action) { return {BPF_RET | BPF_K, 0, 0, action}; }
sock_filter jump_if(uint32_t value, size_t yes, size_t no) {
  return {BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint8_t>(yes), static_cast<uint8_t>(no), value};
}

}  // namespace

SeccompFilter ownership_filter() {
  constexpr uint32_t kNumberBits = 0xbfffffff;  // x32 sets one more, and has the same numbers here.
  SeccompFilter out;
  out.flags = 4;  // SECCOMP_FILTER_FLAG_SPEC_ALLOW
  auto& program = out.program;
  program.push_back(load(offsetof(seccomp_data, arch)));
  for (const Calls& architecture : calls()) {
    const size_t count = architecture.numbers.size();
    program.push_back(jump_if(architecture.architecture, 0, count + 4));
    program.push_back(load(offsetof(seccomp_data, nr)));
    program.push_back({BPF_ALU | BPF_AND | BPF_K, 0, 0, kNumberBits});
    for (size_t i = 0; i < count; ++i) program.push_back(jump_if(architecture.numbers[i], count - i, 0));
    program.push_back(give(SECCOMP_RET_ALLOW));
    program.push_back(give(SECCOMP_RET_ERRNO));  // With 0 for the error.
  }
  program.push_back(give(SECCOMP_RET_ALLOW));
  return out;
}

}  // namespace kist::bundle

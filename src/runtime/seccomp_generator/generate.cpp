// kist_seccomp_generator FILE writes the profile as an array of BPF instructions.
//
// The kernel runs a new filter once per system call number and architecture, to learn which calls
// need no filter at all; for a list of 370 comparisons this is most of the 170 µs that installing
// Docker's filter takes. So calls are sorted into ranges of equal treatment (some 60), and found by
// binary search in 6 steps. Each leaf is its own return, so that no jump is longer than 255.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "profile.h"

namespace kist::seccomp_generator {
namespace {

using Code = std::vector<sock_filter>;

enum class Action { deny, allow, missing, clone, socket, personality, ioctl };

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kDeny = SECCOMP_RET_ERRNO | EPERM;
constexpr uint32_t kNoSuchCall = SECCOMP_RET_ERRNO | ENOSYS;
constexpr uint32_t kX32Bit = 0x40000000;

struct Architecture {
  const char* name;
  uint32_t token;    // libseccomp's
  uint32_t audit;    // the kernel's
  bool arm;
};
constexpr Architecture kX86_64 = {"x86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, false};
constexpr Architecture kX32 = {"x32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64, false};
constexpr Architecture kX86 = {"x86", SCMP_ARCH_X86, AUDIT_ARCH_I386, false};
constexpr Architecture kArm64 = {"arm64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, true};
constexpr Architecture kArm = {"arm", SCMP_ARCH_ARM, AUDIT_ARCH_ARM, true};

[[noreturn]] void bug(const char* what) {
  std::fprintf(stderr, "kist_seccomp_generator: %s\n", what);
  std::exit(1);
}

sock_filter statement(unsigned code, uint32_t k) {
  return {static_cast<uint16_t>(code), 0, 0, k};
}
sock_filter jump(unsigned code, uint32_t k, size_t if_true, size_t if_false) {
  if (if_true > 255 || if_false > 255) bug("a jump is too long");
  return {static_cast<uint16_t>(BPF_JMP | code | BPF_K), static_cast<uint8_t>(if_true),
          static_cast<uint8_t>(if_false), k};
}
sock_filter give(uint32_t action) { return statement(BPF_RET | BPF_K, action); }
sock_filter load_argument(int index) {  // Its low half: all the arguments that we look at are ints.
  return statement(BPF_LD | BPF_W | BPF_ABS,
                   static_cast<uint32_t>(offsetof(seccomp_data, args) + 8 * static_cast<size_t>(index)));
}

// "Is the loaded argument one of these?"
Code one_of(int argument, const std::vector<uint32_t>& values, uint32_t yes, uint32_t no) {
  Code code = {load_argument(argument)};
  for (size_t i = 0; i < values.size(); ++i)
    code.push_back(jump(BPF_JEQ, values[i], values.size() - i, 0));
  code.push_back(give(no));
  code.push_back(give(yes));
  return code;
}

Code socket_check() {
  std::vector<uint32_t> families;
  for (uint32_t family = 0; family < 64; ++family)
    if ((kFamilies >> family & 1) != 0) families.push_back(family);
  return one_of(0, families, kAllow, kDeny);
}

Code leaf(Action action) {
  switch (action) {
    case Action::deny:
      return {give(kDeny)};
    case Action::allow:
      return {give(kAllow)};
    case Action::missing:
      return {give(kNoSuchCall)};
    case Action::clone:
      return {load_argument(0), jump(BPF_JSET, kNamespaceFlags, 1, 0), give(kAllow), give(kDeny)};
    case Action::socket:
      return socket_check();
    case Action::personality:
      return one_of(0, {std::begin(kPersonalities), std::end(kPersonalities)}, kAllow, kDeny);
    case Action::ioctl:
      return one_of(1, {std::begin(kTerminalInjections), std::end(kTerminalInjections)}, kDeny,
                    kAllow);
  }
  bug("unknown action");
}

// What happens to the numbers from `first` up to the next range's.
struct Range {
  uint32_t first;
  Action action;
};

using Numbers = std::map<uint32_t, Action>;

void add(Numbers& numbers, const Architecture& architecture, const char* name, Action action) {
  int number = __NR_SCMP_ERROR;
  const bool newer_x86 = architecture.token == SCMP_ARCH_X86_64;
  for (const Newer& newer : kNewer)
    if (std::strcmp(name, newer.name) == 0) number = newer.number;
  if (newer_x86)
    for (const Newer& newer : kNewerX86)
      if (std::strcmp(name, newer.name) == 0) number = newer.number;
  if (number < 0) number = seccomp_syscall_resolve_name_arch(architecture.token, name);
  if (number < 0) return;  // libseccomp gives negative numbers to what an architecture lacks.
  numbers[static_cast<uint32_t>(number) & ~kX32Bit] = action;
}

Numbers numbers_of(const Architecture& architecture) {
  Numbers numbers;
  for (const char* name : kAllowed) add(numbers, architecture, name, Action::allow);
  if (architecture.arm)
    for (const char* name : kAllowedOnArm) add(numbers, architecture, name, Action::allow);
  for (const char* name : kMissing) add(numbers, architecture, name, Action::missing);
  add(numbers, architecture, "clone", Action::clone);
  add(numbers, architecture, "socket", Action::socket);
  add(numbers, architecture, "personality", Action::personality);
  add(numbers, architecture, "ioctl", Action::ioctl);
  return numbers;
}

std::vector<Range> ranges_of(const Numbers& numbers) {
  std::vector<Range> ranges;
  const auto extend = [&](uint32_t number, Action action) {
    if (ranges.empty() || ranges.back().action != action) ranges.push_back({number, action});
  };
  for (uint32_t number = 0; number <= static_cast<uint32_t>(kLastKnown); ++number) {
    const auto found = numbers.find(number);
    extend(number, found == numbers.end() ? Action::deny : found->second);
  }
  extend(static_cast<uint32_t>(kLastKnown) + 1, Action::missing);
  // ARM has calls of its own far up; x32 a second block from 512 on.
  for (const auto& [number, action] : numbers) {
    if (number <= static_cast<uint32_t>(kLastKnown)) continue;
    extend(number, action);
    if (!numbers.contains(number + 1)) extend(number + 1, Action::missing);
  }
  return ranges;
}

Code search(const Range* ranges, size_t count) {
  if (count == 1) return leaf(ranges[0].action);
  const size_t half = count / 2;
  const Code low = search(ranges, half);
  const Code high = search(ranges + half, count - half);
  Code code;
  if (low.size() <= 255) {
    code = {jump(BPF_JGE, ranges[half].first, low.size(), 0)};
  } else {
    code = {jump(BPF_JGE, ranges[half].first, 0, 1),
            statement(BPF_JMP | BPF_JA, static_cast<uint32_t>(low.size()))};
  }
  code.insert(code.end(), low.begin(), low.end());
  code.insert(code.end(), high.begin(), high.end());
  return code;
}

Code search(const Architecture& architecture) {
  const std::vector<Range> ranges = ranges_of(numbers_of(architecture));
  std::fprintf(stderr, "%s: %zu ranges\n", architecture.name, ranges.size());
  return search(ranges.data(), ranges.size());
}

void append(Code& code, const Code& more) { code.insert(code.end(), more.begin(), more.end()); }

// if (`value` matches) run `body`, which always returns; else go on.
void append_if(Code& code, unsigned test, uint32_t value, const Code& body) {
  code.push_back(jump(test, value, 1, 0));
  code.push_back(statement(BPF_JMP | BPF_JA, static_cast<uint32_t>(body.size())));
  append(code, body);
}

const sock_filter kLoadNumber = {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)};
const sock_filter kLoadArchitecture = {BPF_LD | BPF_W | BPF_ABS, 0, 0,
                                       offsetof(seccomp_data, arch)};

Code amd64() {
  Code native = {kLoadNumber};
  Code x32 = {statement(BPF_ALU | BPF_AND | BPF_K, ~kX32Bit)};
  append(x32, search(kX32));
  append_if(native, BPF_JGE, kX32Bit, x32);
  append(native, search(kX86_64));
  Code old = {kLoadNumber};
  append(old, search(kX86));
  Code code = {kLoadArchitecture};
  append_if(code, BPF_JEQ, kX86_64.audit, native);
  append_if(code, BPF_JEQ, kX86.audit, old);
  code.push_back(give(SECCOMP_RET_KILL_PROCESS));
  return code;
}

Code arm64() {
  Code native = {kLoadNumber};
  append(native, search(kArm64));
  Code old = {kLoadNumber};
  append(old, search(kArm));
  Code code = {kLoadArchitecture};
  append_if(code, BPF_JEQ, kArm64.audit, native);
  append_if(code, BPF_JEQ, kArm.audit, old);
  code.push_back(give(SECCOMP_RET_KILL_PROCESS));
  return code;
}

void write(std::FILE* out, const char* condition, const Code& code) {
  if (code.size() > BPF_MAXINSNS) bug("the filter is too long");
  std::fprintf(out, "%s\nstatic const struct sock_filter kist_seccomp_filter[] = {\n", condition);
  for (const sock_filter& instruction : code)
    std::fprintf(out, "    {0x%02x, %u, %u, 0x%08x},\n", instruction.code, instruction.jt,
                 instruction.jf, instruction.k);
  std::fprintf(out, "};\n");
}

}  // namespace
}  // namespace kist::seccomp_generator

int main(int argc, char** argv) {
  using namespace kist::seccomp_generator;
  if (argc != 2) bug("usage: kist_seccomp_generator FILE");
  std::FILE* out = std::fopen(argv[1], "w");
  if (out == nullptr) bug("cannot write the file");
  std::fprintf(out, "// Generated by kist_seccomp_generator from seccomp_generator/profile.h.\n");
  write(out, "#if defined(__x86_64__)", amd64());
  write(out, "#elif defined(__aarch64__)", arm64());
  std::fprintf(out, "#else\n#error \"no seccomp profile for this architecture\"\n#endif\n");
  return std::fclose(out) == 0 ? 0 : 1;
}

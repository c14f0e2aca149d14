// Where the static program begins, before libc does.
//
// Commands that enter a container begin the program anew from a read-only mount of its own file
// (runtime_cli/protect.cpp says why). Done in main, that costs what libc does before main twice; and
// glibc asks the processor about itself 27 times, each of which leaves a virtual machine: 0.6 ms of
// the 4 ms that `kist exec` takes. So it is tried here first, for those commands alone. Whatever
// fails, or does not apply, is left to main, which looks for itself whether it must still be done.
//
// Nothing of libc works yet: no errno, no canary, and memcpy is not chosen. So this file is built
// without protection of the stack and calls nothing but the kernel.
#include <elf.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <sys/syscall.h>

namespace {

constexpr int kEmptyPath = 0x1000;  // AT_EMPTY_PATH
constexpr int kHere = -100;         // AT_FDCWD

#if defined(__x86_64__)
long call(long number, long a, long b, long c, long d, long e) {
  long result = number;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
long call(long number, long a, long b, long c, long d, long e) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#endif

long address(const void* of) { return reinterpret_cast<long>(of); }

bool equal(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

const char* name_of(const char* path) {
  const char* name = path;
  for (; *path != '\0'; ++path)
    if (*path == '/') name = path + 1;
  return name;
}

// One too many costs a third of a millisecond, one too few what main costs.
bool enters_container(long count, char** args) {
  if (count < 2) return false;
  const bool is_runtime = equal(name_of(args[0]), "kist-runtime") || equal(args[1], "runtime");
  if (is_runtime) {
    for (long i = 1; i < count; ++i)
      if (equal(args[i], "create") || equal(args[i], "exec") || equal(args[i], "restore")) return true;
    return false;
  }
  const char* verb = count > 2 && equal(args[1], "container") ? args[2] : args[1];
  return equal(verb, "exec") || equal(verb, "start") || equal(verb, "restart");
}

bool is_root(const Elf64_auxv_t* entries) {
  for (; entries->a_type != AT_NULL; ++entries)
    if (entries->a_type == AT_EUID) return entries->a_un.a_val == 0;
  return false;
}

// The root of a mount is what a program begun anew is.
bool may_be_begun_anew(const char* self) {
  struct statx st;  // Whole only after the call; setting it before would call memset.
  if (call(SYS_statx, kHere, address(self), 0, STATX_TYPE, address(&st)) != 0) return true;
  return (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace

extern "C" void kist_before_libc(long* stack) {
  const long count = stack[0];
  char** args = reinterpret_cast<char**>(stack + 1);
  char** environment = args + count + 1;
  if (!enters_container(count, args)) return;
  char** end = environment;
  while (*end != nullptr) ++end;
  if (!is_root(reinterpret_cast<const Elf64_auxv_t*>(end + 1))) return;
  static constexpr char kSelf[] = "/proc/self/exe";
  if (may_be_begun_anew(kSelf)) return;
  const long tree = call(SYS_open_tree, kHere, address(kSelf), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0);
  if (tree < 0) return;
  mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY, .attr_clr = 0, .propagation = 0, .userns_fd = 0};
  if (call(SYS_mount_setattr, tree, address(""), kEmptyPath, address(&read_only), sizeof read_only) == 0)
    (void)call(SYS_execveat, tree, address(""), address(args), address(environment), kEmptyPath);
  (void)call(SYS_close, tree, 0, 0, 0, 0);
}

// The stack and the registers are handed on as they came.
#if defined(__x86_64__)
asm(R"(
  .text
  .globl kist_entry
  .type kist_entry, @function
kist_entry:
  xor %ebp, %ebp
  mov %rdx, %r12
  mov %rsp, %rbx
  mov %rsp, %rdi
  and $-16, %rsp
  call kist_before_libc
  mov %r12, %rdx
  mov %rbx, %rsp
  jmp _start
  .size kist_entry, . - kist_entry
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl kist_entry
  .type kist_entry, %function
kist_entry:
  mov x29, #0
  mov x30, #0
  mov x19, x0
  mov x0, sp
  bl kist_before_libc
  mov x0, x19
  b _start
  .size kist_entry, . - kist_entry
)");
#endif

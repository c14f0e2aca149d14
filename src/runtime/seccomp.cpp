#include "runtime/seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>

#include "runtime/seccomp_filter.inc"

namespace kist::runtime {

int install_seccomp_filter() {
  // The kernel copies the program, so the const is true.
  const sock_fprog program = {.len = static_cast<unsigned short>(std::size(kist_seccomp_filter)),
                              .filter = const_cast<sock_filter*>(kist_seccomp_filter)};
  // Without SPEC_ALLOW kernels before 5.16 slow down all branches of a filtered process.
  return static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program));
}

std::span<const sock_filter> default_seccomp_filter() { return kist_seccomp_filter; }

}  // namespace kist::runtime

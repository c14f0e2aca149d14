// A seccomp profile as the kernel takes it. Compiling one takes milliseconds, so what was compiled
// is kept in a file of the runtime's state, and found again by the profile itself.
#pragma once

#include <linux/filter.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/spec.h"
#include "os/fd.h"

namespace kist::bundle {

struct SeccompFilter {
  std::vector<sock_filter> program;
  uint32_t flags = 0;     // SECCOMP_FILTER_FLAG_*
  bool notifies = false;  // Installing gives a listener.
};

/// By libseccomp. System calls that neither it nor we know by name are left out, as runc does. For
/// calls that are newer than all that the profile names, a default of "not permitted" becomes "no
/// such call", so that the C library falls back to older ones.
/// Errors: unsupported (an architecture, an action), invalid.
Result<SeccompFilter> compile_seccomp(const Seccomp& profile);
/// The same, from `cache_folder` when it is there. A cache that cannot be written, or is not ours
/// alone, is not used.
Result<SeccompFilter> cached_seccomp(const Seccomp& profile, const std::string& cache_folder);

/// For the calling thread and what it executes. Needs no_new_privs or CAP_SYS_ADMIN. The descriptor
/// of the listener, if there is one.
Result<os::Fd> install_seccomp(const SeccompFilter& filter);

}  // namespace kist::bundle

// The system calls that a container may make: Docker's default profile, compiled when kist is built
// (seccomp_generator/), so that starting needs no library for it.
#pragma once

#include <linux/filter.h>

#include <span>

namespace kist::runtime {

/// For the calling thread and what it executes. Needs no_new_privs or CAP_SYS_ADMIN. -1 with errno;
/// usable between clone and exec.
int install_seccomp_filter();
/// The filter itself: what a container with the default capabilities may call.
std::span<const sock_filter> default_seccomp_filter();

}  // namespace kist::runtime

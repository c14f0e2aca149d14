// The capabilities that a container's root has, as Docker's default.
#pragma once

#include <linux/capability.h>

#include <cstdint>

namespace kist::runtime {

constexpr uint64_t capability(int number) { return uint64_t{1} << number; }

constexpr uint64_t kDefaultCapabilities =
    capability(CAP_CHOWN) | capability(CAP_DAC_OVERRIDE) | capability(CAP_FOWNER) |
    capability(CAP_FSETID) | capability(CAP_KILL) | capability(CAP_SETGID) |
    capability(CAP_SETUID) | capability(CAP_SETPCAP) | capability(CAP_NET_BIND_SERVICE) |
    capability(CAP_NET_RAW) | capability(CAP_SYS_CHROOT) | capability(CAP_MKNOD) |
    capability(CAP_AUDIT_WRITE) | capability(CAP_SETFCAP);
static_assert(kDefaultCapabilities == 0xa80425fb);

}  // namespace kist::runtime

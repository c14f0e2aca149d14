// Profiles as docker and podman write them: the runtime specification's, with conditions. And the
// built-in one as such, for containers whose capabilities are not the default ones.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "bundle/spec.h"

namespace kist::bundle {

constexpr uint64_t kMaxProfileBytes = 4u << 20;

/// `capabilities`: those of the container, as bits. Rules whose "includes" and "excludes"
/// (capabilities, architectures, the kernel's version) do not fit are left out, and "archMap" becomes
/// the architectures that go with this one (moby, profiles/seccomp/seccomp_linux.go). Hostile input:
/// size, counts and depth are bounded. Errors: invalid (with the path of the field), unsupported.
Result<Seccomp> read_seccomp_profile(std::string_view bytes, uint64_t capabilities);

/// Whether these capabilities open system calls that the built-in filter keeps shut.
bool opens_system_calls(uint64_t capabilities);
/// The built-in profile, and what Docker's allows besides to who has these capabilities. Unlike the
/// built-in filter it lets ioctl(TIOCSTI) pass.
Seccomp built_in_seccomp(uint64_t capabilities);

}  // namespace kist::bundle

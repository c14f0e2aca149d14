// Where only one id is mapped, chown(2) to any other fails with EINVAL, and with it programs that do
// no more than keep a package's owners (tar, rpm, dpkg, rsync). This filter answers them with success;
// files stay whose they are. Podman's ignore_chown_errors and charliecloud's emulation of root do the
// same.
#pragma once

#include "bundle/seccomp_filter.h"

namespace kist::bundle {

/// Goes on top of any other filter: of two answers the kernel takes the more restrictive one, and an
/// error of 0 is more restrictive than to allow.
SeccompFilter ownership_filter();

}  // namespace kist::bundle

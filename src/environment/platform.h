// The names that different formats have for one platform.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::environment {

/// "linux/amd64" or "linux/arm64", of the machine we run on.
std::string host_platform();
/// Of the machine we run on, as Debian calls it.
std::string host_architecture();
/// "linux/arm64" gives "arm64". Errors: unsupported (lists what there is).
Result<std::string> debian_architecture(std::string_view platform);

}  // namespace kist::environment

#include "environment/platform.h"

#include "base/text.h"

namespace kist::environment {

std::string host_platform() {
#if defined(__x86_64__)
  return "linux/amd64";
#elif defined(__aarch64__)
  return "linux/arm64";
#else
#error "kist runs on amd64 and arm64"
#endif
}

std::string host_architecture() { return host_platform().substr(host_platform().find('/') + 1); }

Result<std::string> debian_architecture(std::string_view platform) {
  if (platform == "linux/amd64") return std::string("amd64");
  if (platform == "linux/arm64") return std::string("arm64");
  return Error(Code::unsupported, "platform '{}' is not one of linux/amd64, linux/arm64",
               printable(platform));
}

}  // namespace kist::environment

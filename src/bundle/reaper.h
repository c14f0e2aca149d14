// What `--init` puts in front of a container's command.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace kist::bundle {

/// How it is called: its own program, begun anew, so that nothing of the host's environment or memory is in
/// a process that the container can look into. Its one argument is the command's pid.
inline constexpr std::string_view kReaperName = "kist-init";

/// Reaps orphans and passes signals on until the command ends, with its exit status.
[[noreturn]] void reap_for(pid_t command);

}  // namespace kist::bundle

// The socket on which the first process of a container waits to be started. Whether it still waits
// is the truth about "created" or "running": the kernel closes the socket with the execve.
#pragma once

#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace kist::bundle {

/// Makes the socket FOLDER/start and listens on it. Paths of any length.
Result<os::Fd> listen_for_start(const std::string& folder);
bool is_waiting_to_start(const std::string& folder);
/// Tells the process to begin, and hears how that went: nothing (its end closed by execve), or the
/// Error. Errors: invalid (nobody waits), what the start itself says.
Result<void> start_waiting(const std::string& folder);
/// The other side: waits until somebody says begin; their connection, to tell them what went wrong.
Result<os::Fd> wait_for_start(const os::Fd& listener);

}  // namespace kist::bundle

// When a container is started again, and what its end means: rules without any state.
#include <algorithm>

#include "bundle/container.h"
#include "containers/supervisor.h"

namespace kist::containers {

int exit_code_of(const Error& error) {
  const std::string& first = error.frames().front();
  // A working folder that cannot be entered counts as a command that cannot be executed.
  if (first.starts_with("process.cwd: ")) return 126;
  // The runtime's word for what execve said; a missing folder to mount is another matter.
  if (!bundle::is_of_execve(error)) return 125;
  return error.code() == Code::not_found ? 127 : 126;
}

int64_t restart_delay_ns(uint64_t failures_in_a_row) {
  constexpr int64_t kFirst = 100'000'000;
  constexpr int64_t kLongest = 60'000'000'000;
  int64_t delay = kFirst;
  for (uint64_t i = 1; i < failures_in_a_row && delay < kLongest; ++i) delay *= 2;
  return std::min(delay, kLongest);
}

bool wants_restart(const RestartPolicy& policy, const Status& status) {
  if (status.stopped_by_hand) return false;
  if (policy.name == "always" || policy.name == "unless-stopped") return true;
  return policy.name == "on-failure" && status.exit_code != 0 &&
         (policy.maximum == 0 || status.restart_count < policy.maximum);
}

}  // namespace kist::containers

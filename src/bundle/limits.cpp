// Limits of a process, as far as we may set them.
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "bundle/making.h"
#include "bundle/spec_words.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

std::string rlimit_name(int resource) {
  for (const Word& word : rlimit_words())
    if (word.number == static_cast<uint64_t>(resource)) return std::string(word.name);
  return fmt::format("{}", resource);
}

}  // namespace

Result<void> set_resource_limits(pid_t pid, const Process& process,
                                 std::vector<std::string>& lowered) {
  for (const Rlimit& wanted : process.rlimits) {
    const auto resource = static_cast<__rlimit_resource>(wanted.resource);
    rlimit limit = {wanted.soft, wanted.hard};
    if (::prlimit(pid, resource, &limit, nullptr) == 0) continue;
    // Raising a hard limit needs CAP_SYS_RESOURCE, which not even every root has.
    rlimit now = {};
    if (errno != EPERM || ::prlimit(pid, resource, nullptr, &now) != 0)
      return Error::from_errno(errno, "process.rlimits: set one");
    limit.rlim_max = std::min<rlim_t>(limit.rlim_max, now.rlim_max);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, limit.rlim_max);
    if (::prlimit(pid, resource, &limit, nullptr) != 0)
      return Error::from_errno(errno, "process.rlimits: set one");
    lowered.push_back(fmt::format("process.rlimits: {} is lowered from {} to {}, all that we have",
                                  rlimit_name(wanted.resource), wanted.hard, limit.rlim_max));
  }
  return {};
}

Result<void> set_limits(const Runtime& runtime, pid_t pid, const Process& process) {
  std::vector<std::string> lowered;
  TRY(set_resource_limits(pid, process, lowered));
  if (runtime.warn)
    for (const std::string& text : lowered) runtime.warn(text);
  return {};
}

void set_kill_score(const Runtime& runtime, pid_t pid, const Process& process) {
  if (!process.oom_score_adj) return;
  const auto file = os::open_file(fmt::format("/proc/{}/oom_score_adj", pid), O_WRONLY);
  const std::string value = fmt::format("{}", *process.oom_score_adj);
  if (file && os::write_all(*file, value)) return;
  if (runtime.warn)
    runtime.warn(fmt::format("process.oomScoreAdj: {} may not be set here, it stays as it is", value));
}

}  // namespace kist::bundle

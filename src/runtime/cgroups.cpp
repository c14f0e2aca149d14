#include "runtime/cgroups.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/text.h"
#include "os/files.h"
#include "runtime/cgroup_layout.h"

namespace kist::runtime {
namespace {

constexpr std::string_view kPrefix = "kist-";
constexpr uint64_t kPeriodUs = 100'000;
constexpr uint64_t kMinQuotaUs = 1'000;  // The kernel's.

struct Setting {
  std::string_view file;
  std::string value;
  bool optional = false;  // Not every kernel is built with it.
};

struct Wanted {
  std::string_view controller;
  std::vector<Setting> v1;
  std::vector<Setting> v2;
};

std::vector<Wanted> wanted_of(const Limits& limits) {
  std::vector<Wanted> out;
  if (limits.memory_bytes != 0) {
    const std::string bytes = std::to_string(limits.memory_bytes);
    // Swap would turn a limit of memory into a slow machine.
    out.push_back(
        {.controller = "memory",
         .v1 = {{"memory.limit_in_bytes", bytes}, {"memory.memsw.limit_in_bytes", bytes, true}},
         .v2 = {{"memory.max", bytes}, {"memory.swap.max", "0", true}}});
  }
  if (limits.cpus > 0) {
    const auto quota =
        std::max(kMinQuotaUs,
                 static_cast<uint64_t>(std::llround(limits.cpus * static_cast<double>(kPeriodUs))));
    out.push_back({.controller = "cpu",
                   .v1 = {{"cpu.cfs_period_us", std::to_string(kPeriodUs)},
                          {"cpu.cfs_quota_us", std::to_string(quota)}},
                   .v2 = {{"cpu.max", fmt::format("{} {}", quota, kPeriodUs)}}});
  }
  if (limits.pids != 0) {
    const std::string count = std::to_string(limits.pids);
    out.push_back({.controller = "pids", .v1 = {{"pids.max", count}}, .v2 = {{"pids.max", count}}});
  }
  return out;
}

Result<void> apply(const std::string& group, const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    auto file = os::open_file(os::join(group, setting.file), O_WRONLY);
    if (!file && setting.optional) continue;
    const os::Fd fd = TRY(std::move(file));
    TRY(os::write_all(fd, setting.value), "setting {} to {}", setting.file, setting.value);
  }
  return {};
}

// In v2 a cgroup either has processes or gives controllers to its children. Ours has processes, so
// the new one is beside it, below a parent that gives the controller.
Result<void> enable(const std::string& parent, std::string_view controller) {
  const std::string path = os::join(parent, "cgroup.subtree_control");
  const std::string enabled = TRY(os::read_file(path));
  for (const std::string_view name : split(trim(enabled), ' '))
    if (name == controller) return {};
  const os::Fd fd = TRY(os::open_file(path, O_WRONLY));
  TRY(os::write_all(fd, fmt::format("+{}", controller)), "enabling '{}' in '{}'", controller,
      printable(parent));
  return {};
}

// Cgroups of runs that were killed before they could clean up. Whose maker lives is locked; a fresh
// one may not be locked yet.
void remove_leftovers(const std::string& parent) {
  constexpr time_t kFreshSeconds = 10;
  const auto names = os::list_folder(parent);
  if (!names) return;
  for (const std::string& name : *names) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string path = os::join(parent, name);
    const auto folder = os::open_file(path, O_RDONLY | O_DIRECTORY);
    struct stat st = {};
    if (!folder || ::fstat(folder->get(), &st) != 0) continue;
    if (::time(nullptr) - st.st_ctime < kFreshSeconds) continue;
    if (::flock(folder->get(), LOCK_EX | LOCK_NB) == 0) ::rmdir(path.c_str());
  }
}

std::string unique_name() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return fmt::format("{}{}-{:x}{:x}", kPrefix, ::gettid(), now.tv_sec, now.tv_nsec);
}

Result<void> limit(const Wanted& wanted, const CgroupPlace& place, const std::string& group,
                   bool is_new) {
  if (place.version == 2) {
    const std::string offered = TRY(os::read_file(os::join(place.parent, "cgroup.controllers")));
    const std::vector<std::string_view> names = split(trim(offered), ' ');
    if (std::find(names.begin(), names.end(), wanted.controller) == names.end())
      return Error(Code::unsupported, "cgroup '{}' is not given the controller '{}'",
                   printable(place.parent), wanted.controller);
    TRY(enable(place.parent, wanted.controller));
  }
  if (is_new && ::mkdir(group.c_str(), 0755) != 0)
    return Error::from_errno(errno, "create '{}'", printable(group));
  return apply(group, place.version == 1 ? wanted.v1 : wanted.v2);
}

Error not_enforced(Error cause, std::string_view controller) {
  return std::move(cause)
      .context(fmt::format("the limit of '{}' cannot be enforced", controller))
      .hint("`--best-effort` goes on without it");
}

}  // namespace

Result<void> Cgroups::hold(std::string path) {
  groups_.push_back({.path = std::move(path), .lock = os::Fd(), .procs = os::Fd()});
  Group& group = groups_.back();
  group.lock = TRY(os::open_file(group.path, O_RDONLY | O_DIRECTORY));
  ::flock(group.lock.get(), LOCK_SH | LOCK_NB);
  group.procs = TRY(os::open_file(os::join(group.path, "cgroup.procs"), O_WRONLY));
  return {};
}

Result<void> Cgroups::add(const Limits& limits, bool best_effort) {
  const std::string self = TRY(os::read_file("/proc/self/cgroup", 1 << 20));
  const std::string mounts = TRY(os::read_file("/proc/self/mountinfo", 16 << 20));
  const CgroupLayout layout = CgroupLayout::parse(self, mounts);
  const std::string name = unique_name();
  for (const Wanted& wanted : wanted_of(limits)) {
    const std::optional<CgroupPlace> place = layout.place(wanted.controller);
    Result<void> limited = Error(Code::unsupported, "this host has no cgroups for it");
    if (place) {
      const std::string path = os::join(place->parent, name);
      const bool is_new = std::none_of(groups_.begin(), groups_.end(),
                                       [&](const Group& group) { return group.path == path; });
      if (is_new) remove_leftovers(place->parent);
      limited = limit(wanted, *place, path, is_new);
      if (is_new && os::exists(path))
        if (Result<void> held = hold(path); limited) limited = std::move(held);
    }
    if (!limited && !best_effort)
      return not_enforced(std::move(limited).error(), wanted.controller);
  }
  return {};
}

Result<Cgroups> Cgroups::make(const Limits& limits, bool best_effort) {
  Cgroups cgroups;
  if (limits.memory_bytes == 0 && limits.cpus <= 0 && limits.pids == 0) return cgroups;
  Result<void> added = cgroups.add(limits, best_effort);
  if (!added && !best_effort) return std::move(added).error();
  return cgroups;
}

Cgroups::~Cgroups() {
  constexpr int kTries = 100;
  constexpr timespec kPause = {.tv_sec = 0, .tv_nsec = 1'000'000};
  for (const Group& group : groups_) {
    // The last process is reaped before the kernel has taken it out of its cgroup.
    for (int i = 0; i < kTries && ::rmdir(group.path.c_str()) != 0 && errno == EBUSY; ++i)
      ::nanosleep(&kPause, nullptr);
  }
}

std::vector<int> Cgroups::procs() const {
  std::vector<int> out;
  for (const Group& group : groups_)
    if (group.procs.is_open()) out.push_back(group.procs.get());
  return out;
}

}  // namespace kist::runtime

#include "engine/status.h"

#include "base/text.h"
#include "environment/assemble.h"
#include "environment/platform.h"
#include "launch/ready.h"
#include "python/pylock_complete.h"

namespace kist::engine {
namespace {

using environment::Context;

std::optional<launch::Ready> last_run(const Project& project) {
  const auto text = os::read_file(project.ready_path, 16 << 20);
  if (!text) return std::nullopt;
  auto ready = launch::decode(*text);
  if (!ready || ready->project != project.folder) return std::nullopt;
  return std::move(*ready);
}

// A lock knows one fingerprint of all inputs; which of them it was, the last run's stamps tell.
std::vector<std::string> changed_since(const launch::Ready& ready, const Project& project) {
  std::vector<std::string> changed;
  const std::string folder = project.folder + "/";
  for (const launch::Watched& watched : ready.watched) {
    if (watched.path == project.lock_path || os::stamp(watched.path) == watched.stamp) continue;
    const bool is_inside = watched.path.starts_with(folder);
    changed.push_back(is_inside ? watched.path.substr(folder.size()) : watched.path);
  }
  return changed;
}

Result<void> look_at_lock(const Context& context, const python::Lock& lock, const Project& project,
                          const python::Inputs& inputs, Status& status) {
  status.python_packages = lock.packages.size();
  status.debian_packages = lock.kist ? lock.kist->debian.size() : 0;
  if (lock.kist && lock.kist->image)
    status.base_image = fmt::format("{} ({}), Python {}{}, {}", printable(lock.kist->base),
                                    lock.kist->image->digest.string(), printable(lock.kist->python),
                                    lock.kist->image->python.empty() ? "" : " at " + lock.kist->image->python,
                                    lock.kist->image->libc);
  if (lock.kist && lock.kist->interpreter) status.interpreter = lock.kist->python;
  const auto target = environment::target_of(lock);
  if (!target) {
    status.lock = Status::LockState::stale;
    status.stale_because = target.error().frames().front();
    return {};
  }
  status.lock = is_current(lock, inputs) ? Status::LockState::current : Status::LockState::stale;
  if (lock.kist->platform != environment::host_platform()) {
    status.lock = Status::LockState::stale;
    status.stale_because = fmt::format("it is for {}", printable(lock.kist->platform));
  } else if (status.lock == Status::LockState::stale) {
    status.stale_because = python::why_stale(lock, inputs, *target);
    if (status.stale_because.empty()) status.stale_because = "the inputs have changed";
  }
  const auto name = environment::environment_name(context, lock, os::parent_of(project.lock_path));
  if (!name) return {};  // Cannot be assembled here: for another platform, from what has gone.
  for (const std::string& candidate : {*name + "-complete", *name}) {
    const auto tree = TRY(context.store.find(candidate));
    if (tree && status.tree.empty()) status.tree = tree->string();
    // Without its byte-code it is the same environment.
    if (tree && tree->string() == status.last_tree) status.tree = status.last_tree;
  }
  return {};
}

}  // namespace

Result<Status> status_of(const Context& context, const launch::RunRequest& request) {
  Project project = TRY(locate(request, context.host));
  const python::Inputs inputs = TRY(read_inputs(project, request, context.host));
  Status status;
  status.folder = project.folder;
  status.environment = project.environment;
  status.chosen = inputs.chosen;
  status.warnings = inputs.warnings;
  status.lock_path = project.lock_path;
  const auto ready = last_run(project);
  if (ready) status.last_tree = ready->tree;
  const auto lock = TRY(read_lock(project, context.progress));
  if (!lock) return status;
  TRY(look_at_lock(context, *lock, project, inputs, status));
  if (ready && status.lock == Status::LockState::stale)
    status.changed = changed_since(*ready, project);
  return status;
}

}  // namespace kist::engine

// Makes a project ready to run: inputs, lock, trees, root, ready file.
#pragma once

#include <optional>

#include "engine/project.h"
#include "environment/assemble.h"
#include "launch/ready.h"
#include "store/root.h"

namespace kist::engine {

/// An environment that can be run at once. What is new in it becomes durable in finish(), which the
/// caller calls while, or after, the program runs. Holds the project's lock and the root's lease.
struct Prepared {
  Project project;
  launch::Ready ready;
  std::optional<store::Transaction> pending;
  std::optional<os::FileLock> guard;
  std::optional<store::Lease> lease;
  std::string bytecode_plan;       // For the file that `ready` names; empty: nothing to compile.
  std::vector<std::string> roots;  // Digests that gc must keep for this project.
};

/// Locks if need be, assembles if need be. Of several processes that prepare one project, one works
/// and the others wait for it. Errors: as the steps'; invalid with --locked and a stale lock.
Result<Prepared> prepare(const environment::Context& context, const launch::RunRequest& request);

/// Makes it durable, then publishes names and the ready file. Errors: unavailable (disk full).
Result<void> finish(const environment::Context& context, Prepared prepared);

}  // namespace kist::engine

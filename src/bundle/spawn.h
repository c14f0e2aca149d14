// A process in other namespaces, some of them new and some joined.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/cgroups.h"
#include "bundle/spec.h"
#include "os/fd.h"

namespace kist::bundle {

/// A namespace to join. `fd` may be a pidfd; then `flags` are all that are taken from it.
struct Join {
  uint64_t flags = 0;
  os::Fd fd;
};

struct Spawn {
  uint64_t fresh = 0;  // CLONE_NEW* to make. Not the cgroup namespace: that one comes later.
  std::vector<Join> joins;
  std::vector<TimeOffset> time_offsets;
  /// The process is born in that of version 2 where it can be, and `is_born_in_v2` says whether it was.
  const CgroupEntrances* cgroups = nullptr;
  bool* is_born_in_v2 = nullptr;
  /// Then who joins the namespaces enters the others before, and the body need not.
  bool enters_cgroups = false;
};

/// For the process that calls it. Errors: denied.
Result<void> enter_v1(const CgroupEntrances& cgroups);
Result<void> enter_v2(const CgroupEntrances& cgroups);

/// Runs `body` in a copy of this process, which is our child and ends with us until it says
/// otherwise. Errors: denied, invalid (a namespace of the wrong kind).
Result<pid_t> spawn(const Spawn& wanted, const std::function<void()>& body);

/// Writes the maps of the process `pid`, which is in a new user namespace: directly, or by
/// newuidmap(1) and newgidmap(1) where only they may.
Result<void> write_id_maps(pid_t pid, const std::vector<IdMap>& uids, const std::vector<IdMap>& gids);
/// Runs `body` as root of a new user namespace with these maps, in a copy of this process, and waits
/// for it. True when it returned true. Errors: those of making the maps.
Result<bool> run_mapped(const std::vector<IdMap>& uids, const std::vector<IdMap>& gids,
                        const std::function<bool()>& body);
/// A user namespace with these maps and nobody in it, for mounts.
Result<os::Fd> make_user_namespace(const std::vector<IdMap>& uids, const std::vector<IdMap>& gids);

}  // namespace kist::bundle

// Which ids a plain user's container has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/spec.h"

namespace kist::containers {

/// Of `--ids`: "single" is the caller's own id, whatever it is called inside; "range" is that as 0,
/// and after it all that /etc/subuid and /etc/subgid give, as 1 and so on.
struct IdMaps {
  std::vector<bundle::IdMap> uids;
  std::vector<bundle::IdMap> gids;
};

IdMaps single_id(uint32_t uid, uint32_t gid);
/// Errors: not_found (no ranges, or no newuidmap(1)), with what to do.
Result<IdMaps> id_range(uint32_t uid, uint32_t gid);
/// "single" or "range" for "auto": the range where there is one.
std::string chosen_ids(const std::string& wanted, uint32_t uid, uint32_t gid);

/// os::remove_tree() for what a container of a range has written: as a plain user those files are
/// somebody else's, so it is the container's root that removes them.
Result<void> remove_written(const std::string& path);

}  // namespace kist::containers

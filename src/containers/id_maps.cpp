#include "containers/id_maps.h"

#include <unistd.h>

#include "bundle/spawn.h"
#include "os/files.h"
#include "os/subordinate_ids.h"

namespace kist::containers {
namespace {

std::vector<bundle::IdMap> map_of(uint32_t own, const std::vector<os::IdRange>& ranges) {
  std::vector<bundle::IdMap> out = {{0, own, 1}};
  uint32_t next = 1;
  for (const os::IdRange& range : ranges) {
    out.push_back({next, range.first, range.count});
    if (range.count > ~next) break;  // More than there are numbers.
    next += range.count;
  }
  return out;
}

bool has_map_programs() {
  for (const char* folder : {"/usr/bin", "/bin", "/usr/local/bin", "/sbin", "/usr/sbin"})
    if (::access(os::join(folder, "newuidmap").c_str(), X_OK) == 0 &&
        ::access(os::join(folder, "newgidmap").c_str(), X_OK) == 0)
      return true;
  return false;
}

}  // namespace

IdMaps single_id(uint32_t uid, uint32_t gid) { return {.uids = {{0, uid, 1}}, .gids = {{0, gid, 1}}}; }

Result<IdMaps> id_range(uint32_t uid, uint32_t gid) {
  const auto uids = os::subordinate_ids("/etc/subuid", uid);
  const auto gids = os::subordinate_ids("/etc/subgid", uid);
  if (uids.empty() || gids.empty())
    return Error(Code::not_found, "--ids range: {} has no range for you", uids.empty() ? "/etc/subuid" : "/etc/subgid")
        .hint("`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`, or --ids single");
  if (!has_map_programs())
    return Error(Code::not_found, "--ids range: newuidmap and newgidmap are not installed")
        .hint("`sudo apt-get install uidmap`, or --ids single");
  return IdMaps{.uids = map_of(uid, uids), .gids = map_of(gid, gids)};
}

std::string chosen_ids(const std::string& wanted, uint32_t uid, uint32_t gid) {
  if (wanted != "auto") return wanted;
  return id_range(uid, gid) ? "range" : "single";
}

Result<void> remove_written(const std::string& path) {
  Result<void> removed = os::remove_tree(path);
  if (removed || ::geteuid() == 0) return removed;
  const auto maps = id_range(::geteuid(), ::getegid());
  if (!maps) return removed;
  const auto done = bundle::run_mapped(maps->uids, maps->gids, [&] { return os::remove_tree(path).has_value(); });
  if (!done || !*done) return removed;
  return {};
}

}  // namespace kist::containers

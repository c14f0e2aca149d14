// The cgroup hierarchies of this host, and where in them a container's cgroups belong. Pure, but for
// read_cgroup_hierarchies().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::bundle {

/// One mounted tree: of version 2, or of some controllers of version 1.
struct Hierarchy {
  int version = 1;
  std::vector<std::string> controllers;  // v1: its own, "name=systemd" too. v2: what its top offers.
  std::string mount_point;
  std::string mount_root;  // What part of the tree is mounted there.
  std::string own_path;    // Our own cgroup in the tree.
  bool has(std::string_view controller) const;
};

/// A path as the kernel writes it in tables: space, tab, newline and backslash are \ooo.
std::string unescaped_path(std::string_view text);
/// From /proc/self/cgroup and /proc/self/mountinfo. The controllers of version 2 are left empty.
std::vector<Hierarchy> parse_cgroup_hierarchies(std::string_view self_cgroup,
                                                std::string_view mountinfo);
Result<std::vector<Hierarchy>> read_cgroup_hierarchies();
/// The folder for a container with this cgroupsPath (empty: `id`): absolute ones start at the top of
/// the tree, relative ones at our own cgroup, or beside it for version 2, where a cgroup that has
/// processes can give no controllers to children. Errors: invalid ("..").
Result<std::string> cgroup_folder(const Hierarchy& hierarchy, const std::string& cgroups_path,
                                  const std::string& id);

}  // namespace kist::bundle

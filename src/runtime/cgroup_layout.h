// Where on this host a cgroup for a controller would be made. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::runtime {

struct CgroupPlace {
  int version = 0;     // 1 or 2
  std::string parent;  // Folder to make ours in.
};

/// What /proc/self/cgroup and /proc/self/mountinfo say. Read per controller: on a hybrid host some
/// are in v1 trees and others in the one of v2, and both are used.
class CgroupLayout {
 public:
  static CgroupLayout parse(std::string_view self_cgroup, std::string_view mountinfo);
  /// Empty: the host has no v1 tree for it, and no v2 tree at all. A v2 tree may still lack it.
  std::optional<CgroupPlace> place(std::string_view controller) const;

 private:
  std::map<std::string, std::string, std::less<>> v1_;  // controller → our own cgroup
  std::string v2_parent_;
};

}  // namespace kist::runtime

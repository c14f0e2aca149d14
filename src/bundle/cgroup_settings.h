// What a container's resources are in files of cgroups. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bundle/spec.h"

namespace kist::bundle {

struct CgroupSetting {
  std::string controller;  // "memory" …; "" for those of linux.resources.unified
  std::string file;
  std::string value;
  std::string field;      // "linux.resources.memory.limit", for messages
  bool optional = false;  // Not every kernel is built with it.
  std::string unless = {};  // Passed over where this file is, which says the same.
  bool keeps_first = false;  // The first word in the file stays, and this follows it.
};

/// In the order in which they are to be written. Devices are not in it: cgroup_devices.h.
std::vector<CgroupSetting> cgroup_settings_v1(const Resources& resources);
std::vector<CgroupSetting> cgroup_settings_v2(const Resources& resources);
/// What the controller of version 1 is called in version 2: "io" for "blkio".
std::string_view controller_v2(std::string_view controller);
/// Whether version 2 has nothing that would do what this setting of version 1 does.
bool is_only_v1(const CgroupSetting& setting);

}  // namespace kist::bundle

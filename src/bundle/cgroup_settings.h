// What a container's resources are in files of cgroups. Pure.
#pragma once

#include <string>
#include <vector>

#include "bundle/spec.h"

namespace kist::bundle {

struct CgroupSetting {
  std::string controller;  // "memory" …; "" for those of linux.resources.unified
  std::string file;
  std::string value;
  std::string field;      // "linux.resources.memory.limit", for messages
  bool optional = false;  // Not every kernel is built with it.
};

/// In the order in which they are to be written. Devices are not in it: cgroup_devices.h.
std::vector<CgroupSetting> cgroup_settings_v1(const Resources& resources);
std::vector<CgroupSetting> cgroup_settings_v2(const Resources& resources);

}  // namespace kist::bundle

// What a container is to systemd: a scope, in a slice, with properties. Pure. As runc has it:
// linux.cgroupsPath is SLICE:PREFIX:NAME, and annotations org.systemd.property.NAME set properties.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/spec.h"

namespace kist::bundle {

struct SystemdUnit {
  std::string slice;  // "system.slice"
  std::string name;   // "kist-web.scope"
};
/// `user`: of the service manager of a user. Errors: invalid.
Result<SystemdUnit> systemd_unit_of(const std::string& cgroups_path, const std::string& id, bool user);

/// One property as busctl is told it: its signature, and its value word by word.
struct UnitProperty {
  std::string name;
  std::string signature;
  std::vector<std::string> words;
};
/// The limits that systemd knows too: what it is not told it sets back when it is reloaded.
/// `version`: of the cgroups. Errors: invalid (processors).
Result<std::vector<UnitProperty>> limit_properties(const Resources& resources, int version);
/// Empty when the rules are no list of what is allowed, which is all that systemd knows.
std::vector<UnitProperty> device_properties(const std::vector<DeviceRule>& rules);
/// Those of annotations, whose values are text of GVariant: scalars, and lists of them.
/// Errors: invalid.
Result<std::vector<UnitProperty>> annotated_properties(
    const std::map<std::string, std::string>& annotations);

}  // namespace kist::bundle

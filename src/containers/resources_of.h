// What of a record's wishes is devices and limits: fields of the specification's resources.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "bundle/spec.h"
#include "containers/record.h"

namespace kist::containers {

/// Errors: invalid (no such device).
Result<void> add_devices(const Record& record, bool is_root, bundle::Spec& spec);
/// Errors: invalid (a disk that is not there any more).
Result<void> add_limits(const Record& record, bundle::Spec& spec);

struct DeviceId {
  uint32_t major = 0, minor = 0;
};
/// Errors: invalid (no such, or no disk).
Result<DeviceId> block_device(const std::string& path);
/// docker's "c 1:3 rwm", "b *:* r". Errors: invalid.
Result<bundle::DeviceRule> parse_device_rule(std::string_view text);

}  // namespace kist::containers

// Which devices a container may use: the device cgroup of version 1, or a BPF program on version 2.
#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/spec.h"
#include "os/fd.h"

namespace kist::bundle {

/// The rules of the spec, and those for the devices that every container has.
std::vector<DeviceRule> device_rules(const Spec& spec);
/// Whether the rules let all pass: then nothing needs to be set.
bool allows_everything(const std::vector<DeviceRule>& rules);

/// "devices.allow" or "devices.deny", and what to write there. Pure.
struct DeviceWrite {
  const char* file;
  std::string value;
};
std::vector<DeviceWrite> device_writes(const std::vector<DeviceRule>& rules);

/// The program for BPF_PROG_TYPE_CGROUP_DEVICE. Pure; the last rule that matches wins.
std::vector<bpf_insn> device_program(const std::vector<DeviceRule>& rules);
/// Attaches it to the cgroup and takes away `old` programs that we attached before.
Result<void> attach_device_program(const os::Fd& cgroup, const std::vector<DeviceRule>& rules);

}  // namespace kist::bundle

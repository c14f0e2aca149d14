#include "containers/resources_of.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/text.h"
#include "containers/spec_of.h"
#include "os/files.h"

namespace kist::containers {
namespace {

using bundle::Spec;

bool is_device(const struct stat& info) { return S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode); }

// A node that stands for the host's, and what may be done with it.
void add_node(const std::string& inside, const struct stat& info, std::string_view rights, Spec& spec) {
  const char type = S_ISBLK(info.st_mode) ? 'b' : 'c';
  spec.devices.push_back({.type = type, .path = inside, .major = major(info.st_rdev), .minor = minor(info.st_rdev),
                          .mode = info.st_mode & 0777, .uid = info.st_uid, .gid = info.st_gid});
  const auto has = [&](char right) { return rights.find(right) != rights.npos; };
  spec.resources.devices.push_back({.allow = true, .type = type, .major = major(info.st_rdev),
                                    .minor = minor(info.st_rdev), .read = has('r'), .write = has('w'), .make = has('m')});
}

// What a container has of its own, and what is no device: as docker passes it over.
bool is_passed_over(std::string_view name) {
  constexpr std::string_view kNames[] = {"pts", "shm", "fd", "mqueue", "console", "ptmx", ".lxc", ".lxd-mounts", ".udev"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// All devices below a folder of the host, at the same places below `inside`.
void add_nodes_below(const std::string& folder, const std::string& inside, std::string_view rights, int deepest, Spec& spec) {
  const auto names = os::list_folder(folder);
  if (!names || deepest == 0) return;
  for (const std::string& name : *names) {
    struct stat info = {};
    const std::string path = os::join(folder, name);
    if (is_passed_over(name) || ::lstat(path.c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) add_nodes_below(path, os::join(inside, name), rights, deepest - 1, spec);
    else if (is_device(info)) add_node(os::join(inside, name), info, rights, spec);
  }
}
constexpr int kDeepest = 8;

// "HOST[:INSIDE[:rwm]]"
Result<void> add_device(const std::string& text, bool is_root, Spec& spec) {
  const auto parts = split(text, ':');
  const std::string host(parts[0]);
  const std::string inside(parts.size() > 1 && parts[1].starts_with('/') ? parts[1] : parts[0]);
  const std::string_view rights = parts.size() > 1 && !parts.back().starts_with('/') ? parts.back() : "rwm";
  struct stat info = {};
  const bool is_there = ::stat(host.c_str(), &info) == 0;
  // As docker: a folder is all devices in it.
  if (is_there && S_ISDIR(info.st_mode) && is_root && host.starts_with("/dev/")) {
    add_nodes_below(host, inside, rights, kDeepest, spec);
    return {};
  }
  if (!is_there || !is_device(info))
    return Error(Code::invalid, "--device: '{}' is no device of this host", printable(host));
  // Nobody but root makes devices; one that is called the same inside is mounted by the runtime itself.
  if (!is_root && inside != host) spec.mounts.push_back(bind_mount(host, inside));
  else add_node(inside, info, rights, spec);
  return {};
}

Result<void> add_devices_of(const std::vector<DeviceNumber>& wanted, std::vector<bundle::BlockDeviceValue>& out) {
  for (const DeviceNumber& one : wanted) {
    const auto device = TRY(block_device(one.path));
    out.push_back({device.major, device.minor, one.value});
  }
  return {};
}

void add_memory(const LimitRequest& limits, bundle::MemoryLimits& out) {
  if (limits.memory_bytes != 0) {
    out.limit = static_cast<int64_t>(limits.memory_bytes);
    if (limits.memory_swap_bytes != 0) out.swap = limits.memory_swap_bytes;
  }
  if (limits.memory_reservation_bytes != 0) out.reservation = static_cast<int64_t>(limits.memory_reservation_bytes);
  if (limits.memory_swappiness >= 0) out.swappiness = static_cast<uint64_t>(limits.memory_swappiness);
  if (limits.oom_kill_disable) out.disable_oom_killer = true;
}

void add_processors(const LimitRequest& limits, bundle::CpuLimits& out) {
  if (limits.cpus > 0) {
    constexpr uint64_t kPeriodUs = 100'000;
    out.period_us = kPeriodUs;
    out.quota_us = static_cast<int64_t>(limits.cpus * static_cast<double>(kPeriodUs));
  }
  if (limits.cpu_period_us != 0) out.period_us = limits.cpu_period_us;
  if (limits.cpu_quota_us != 0) out.quota_us = limits.cpu_quota_us;
  if (limits.cpu_realtime_period_us != 0) out.realtime_period_us = limits.cpu_realtime_period_us;
  if (limits.cpu_realtime_runtime_us != 0) out.realtime_runtime_us = static_cast<int64_t>(limits.cpu_realtime_runtime_us);
  if (limits.cpu_shares != 0) out.shares = limits.cpu_shares;
  out.cpus = limits.cpuset_cpus;
  out.mems = limits.cpuset_mems;
}

}  // namespace

Result<DeviceId> block_device(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISBLK(info.st_mode))
    return Error(Code::invalid, "'{}' is no block device of this host", printable(path)).hint("`lsblk -p` lists them");
  return DeviceId{major(info.st_rdev), minor(info.st_rdev)};
}

Result<bundle::DeviceRule> parse_device_rule(std::string_view text) {
  const auto wrong = [&] {
    return Error(Code::invalid, "'{}' is no rule for devices, want one as 'c 1:3 rwm' or 'b *:* r'", printable(text));
  };
  const auto words = split(text, ' ');
  if (words.size() != 3 || (words[0] != "a" && words[0] != "b" && words[0] != "c")) return wrong();
  auto numbers = split(words[1], ':');
  if (numbers.size() == 1) numbers.push_back("*");  // As podman takes it.
  if (numbers.size() != 2) return wrong();
  bundle::DeviceRule out{.allow = true, .type = words[0][0], .major = {}, .minor = {}};
  for (const auto& [word, number] : {std::pair(numbers[0], &out.major), std::pair(numbers[1], &out.minor)}) {
    if (word == "*") continue;
    const auto value = parse_number(word);
    if (!value || *value > UINT32_MAX) return wrong();
    *number = static_cast<uint32_t>(*value);
  }
  if (words[2].empty() || words[2].find_first_not_of("rwm") != std::string_view::npos) return wrong();
  const auto has = [&](char right) { return words[2].find(right) != std::string_view::npos; };
  out.read = has('r');
  out.write = has('w');
  out.make = has('m');
  return out;
}

Result<void> add_devices(const Record& record, bool is_root, Spec& spec) {
  // As docker: all that the host has. A plain user may open none of them anyway but those that all may.
  if (record.privileged && is_root) add_nodes_below("/dev", "/dev", "rwm", kDeepest, spec);
  for (const std::string& device : record.devices) TRY(add_device(device, is_root, spec));
  for (const std::string& text : record.device_rules) {
    const auto rule = TRY(parse_device_rule(text), "--device-cgroup-rule");
    spec.resources.devices.push_back(rule);
  }
  return {};
}

Result<void> add_limits(const Record& record, Spec& spec) {
  const LimitRequest& limits = record.limits;
  bundle::Resources& out = spec.resources;
  out.devices.insert(out.devices.begin(), {.allow = record.privileged, .type = 'a', .major = {}, .minor = {},
                                           .read = true, .write = true, .make = true});
  add_memory(limits, out.memory);
  add_processors(limits, out.cpu);
  if (limits.pids != 0) out.pids = limits.pids;
  if (limits.block_io_weight != 0) out.block_io.weight = static_cast<uint16_t>(limits.block_io_weight);
  TRY(add_devices_of(limits.block_io_weights, out.block_io.weight_device), "--blkio-weight-device");
  TRY(add_devices_of(limits.read_bps, out.block_io.read_bps), "--device-read-bps");
  TRY(add_devices_of(limits.write_bps, out.block_io.write_bps), "--device-write-bps");
  TRY(add_devices_of(limits.read_iops, out.block_io.read_iops), "--device-read-iops");
  TRY(add_devices_of(limits.write_iops, out.block_io.write_iops), "--device-write-iops");
  return {};
}

}  // namespace kist::containers

#include "bundle/cgroup_settings.h"

#include <fmt/format.h>

#include <algorithm>

namespace kist::bundle {
namespace {

constexpr const char* kField = "linux.resources.";

class Settings {
 public:
  template <class T>
  void number(const char* controller, const char* file, const std::optional<T>& value,
              const char* field, bool optional = false) {
    if (value) text(controller, file, fmt::format("{}", *value), field, optional);
  }
  void text(std::string controller, std::string file, std::string value, const std::string& field,
            bool optional = false) {
    out.push_back({.controller = std::move(controller),
                   .file = std::move(file),
                   .value = std::move(value),
                   .field = kField + field,
                   .optional = optional});
  }
  std::vector<CgroupSetting> out;
};

std::string device_value(const BlockDeviceValue& value) {
  return fmt::format("{}:{} {}", value.major, value.minor, value.value);
}

// The kernel wants the sum of memory and swap to be at least the memory, at every moment: raising
// the limit begins with the sum, lowering it with the memory. A new group has neither limit.
void memory_v1(const MemoryLimits& memory, Settings& out) {
  if (memory.limit && *memory.limit != 0)
    out.number("memory", "memory.limit_in_bytes", memory.limit, "memory.limit");
  std::optional<int64_t> sum = memory.swap;
  // No limit of memory: none of the sum either, or the kernel refuses.
  if (memory.limit == -1 && !sum) sum = -1;
  if (sum && *sum != 0)
    out.number("memory", "memory.memsw.limit_in_bytes", sum, "memory.swap", *sum == -1);
  if (memory.reservation && *memory.reservation != 0)
    out.number("memory", "memory.soft_limit_in_bytes", memory.reservation, "memory.reservation");
  if (memory.kernel_tcp && *memory.kernel_tcp != 0)
    out.number("memory", "memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp, "memory.kernelTCP");
  if (memory.swappiness) out.number("memory", "memory.swappiness", memory.swappiness,
                                    "memory.swappiness");
  if (memory.disable_oom_killer == true)
    out.text("memory", "memory.oom_control", "1", "memory.disableOOMKiller");
}

void block_io_v1(const BlockIoLimits& limits, Settings& out) {
  // The files of the weight depend on the scheduler that the kernel has; without it there is no share.
  if (limits.weight && *limits.weight != 0)
    out.number("blkio", "blkio.bfq.weight", limits.weight, "blockIO.weight");
  for (const BlockDeviceValue& value : limits.weight_device)
    if (value.value != 0)
      out.text("blkio", "blkio.bfq.weight_device", device_value(value), "blockIO.weightDevice");
  const struct {
    const char* file;
    const std::vector<BlockDeviceValue>& values;
    const char* field;
  } throttles[] = {
      {"blkio.throttle.read_bps_device", limits.read_bps, "blockIO.throttleReadBpsDevice"},
      {"blkio.throttle.write_bps_device", limits.write_bps, "blockIO.throttleWriteBpsDevice"},
      {"blkio.throttle.read_iops_device", limits.read_iops, "blockIO.throttleReadIOPSDevice"},
      {"blkio.throttle.write_iops_device", limits.write_iops, "blockIO.throttleWriteIOPSDevice"}};
  for (const auto& throttle : throttles)
    for (const BlockDeviceValue& value : throttle.values)
      out.text("blkio", throttle.file, device_value(value), throttle.field);
}

void hugepages(const Resources& resources, const char* suffix, Settings& out) {
  for (const HugepageLimit& limit : resources.hugepages) {
    out.text("hugetlb", fmt::format("hugetlb.{}.{}", limit.page_size, suffix),
             fmt::format("{}", limit.limit), "hugepageLimits");
    const std::string reserved = fmt::format("hugetlb.{}.rsvd.{}", limit.page_size, suffix);
    out.text("hugetlb", reserved, fmt::format("{}", limit.limit), "hugepageLimits", true);
  }
}

void rdma(const Resources& resources, Settings& out) {
  for (const RdmaLimit& limit : resources.rdma) {
    std::string value = limit.device;
    if (limit.handles) value += fmt::format(" hca_handle={}", *limit.handles);
    if (limit.objects) value += fmt::format(" hca_object={}", *limit.objects);
    out.text("rdma", "rdma.max", std::move(value), "rdma");
  }
}

std::string pids_value(int64_t limit) { return limit <= 0 ? "max" : fmt::format("{}", limit); }

void cpu_v1(const CpuLimits& cpu, Settings& out) {
  if (cpu.shares && *cpu.shares != 0) out.number("cpu", "cpu.shares", cpu.shares, "cpu.shares");
  if (cpu.realtime_period_us && *cpu.realtime_period_us != 0)
    out.number("cpu", "cpu.rt_period_us", cpu.realtime_period_us, "cpu.realtimePeriod");
  if (cpu.realtime_runtime_us && *cpu.realtime_runtime_us != 0)
    out.number("cpu", "cpu.rt_runtime_us", cpu.realtime_runtime_us, "cpu.realtimeRuntime");
  if (cpu.period_us && *cpu.period_us != 0)
    out.number("cpu", "cpu.cfs_period_us", cpu.period_us, "cpu.period");
  if (cpu.quota_us && *cpu.quota_us != 0)
    out.number("cpu", "cpu.cfs_quota_us", cpu.quota_us, "cpu.quota");
  if (cpu.burst_us) out.number("cpu", "cpu.cfs_burst_us", cpu.burst_us, "cpu.burst");
  if (cpu.idle) out.number("cpu", "cpu.idle", cpu.idle, "cpu.idle");
}

void cpuset(const CpuLimits& cpu, Settings& out) {
  if (!cpu.cpus.empty()) out.text("cpuset", "cpuset.cpus", cpu.cpus, "cpu.cpus");
  if (!cpu.mems.empty()) out.text("cpuset", "cpuset.mems", cpu.mems, "cpu.mems");
}

std::string limit_v2(int64_t bytes) { return bytes < 0 ? "max" : fmt::format("{}", bytes); }

void memory_v2(const MemoryLimits& memory, Settings& out) {
  const bool limited = memory.limit && *memory.limit != 0;
  if (memory.swap && *memory.swap != 0) {
    // The specification's is memory and swap together, the kernel's only swap.
    int64_t swap = *memory.swap;
    if (swap > 0 && limited && *memory.limit > 0) swap = std::max<int64_t>(0, swap - *memory.limit);
    out.text("memory", "memory.swap.max", limit_v2(swap), "memory.swap", swap <= 0);
  }
  if (limited) out.text("memory", "memory.max", limit_v2(*memory.limit), "memory.limit");
  if (memory.reservation && *memory.reservation != 0)
    out.text("memory", "memory.low", limit_v2(*memory.reservation), "memory.reservation");
}

void cpu_v2(const CpuLimits& cpu, Settings& out) {
  constexpr uint64_t kLeastShares = 2;
  constexpr uint64_t kMostShares = 262144;
  if (cpu.idle) out.number("cpu", "cpu.idle", cpu.idle, "cpu.idle");
  if (cpu.shares && *cpu.shares != 0 && cpu.idle != 1) {
    const uint64_t shares = std::clamp(*cpu.shares, kLeastShares, kMostShares);
    const uint64_t weight = 1 + ((shares - kLeastShares) * 9999) / (kMostShares - kLeastShares);
    out.text("cpu", "cpu.weight", fmt::format("{}", weight), "cpu.shares");
  }
  const bool quota = cpu.quota_us && *cpu.quota_us != 0;
  const bool period = cpu.period_us && *cpu.period_us != 0;
  if (quota || period) {
    // Of quota and period the one that is not given stays as it is.
    std::string value =
        quota && *cpu.quota_us > 0 ? fmt::format("{}", *cpu.quota_us) : std::string("max");
    if (period) value = quota ? fmt::format("{} {}", value, *cpu.period_us)
                              : fmt::format("{}", *cpu.period_us);
    out.text("cpu", "cpu.max", std::move(value), quota ? "cpu.quota" : "cpu.period");
    out.out.back().keeps_first = !quota;
  }
  if (cpu.burst_us) out.number("cpu", "cpu.max.burst", cpu.burst_us, "cpu.burst");
}

// 10 … 1000 of v1 to 1 … 10000 of v2.
uint64_t io_weight(uint64_t weight) { return weight < 10 ? 1 : 1 + (weight - 10) * 9999 / 990; }

void block_io_v2(const BlockIoLimits& limits, Settings& out) {
  if (limits.weight && *limits.weight != 0) {
    out.number("io", "io.bfq.weight", limits.weight, "blockIO.weight", true);
    out.text("io", "io.weight", fmt::format("default {}", io_weight(*limits.weight)), "blockIO.weight");
    out.out.back().unless = "io.bfq.weight";
  }
  for (const BlockDeviceValue& value : limits.weight_device) {
    if (value.value == 0) continue;
    out.text("io", "io.bfq.weight", device_value(value), "blockIO.weightDevice", true);
    const BlockDeviceValue scaled{value.major, value.minor, io_weight(value.value)};
    out.text("io", "io.weight", device_value(scaled), "blockIO.weightDevice");
    out.out.back().unless = "io.bfq.weight";
  }
  const struct {
    const char* key;
    const std::vector<BlockDeviceValue>& values;
    const char* field;
  } throttles[] = {{"rbps", limits.read_bps, "blockIO.throttleReadBpsDevice"},
                   {"wbps", limits.write_bps, "blockIO.throttleWriteBpsDevice"},
                   {"riops", limits.read_iops, "blockIO.throttleReadIOPSDevice"},
                   {"wiops", limits.write_iops, "blockIO.throttleWriteIOPSDevice"}};
  for (const auto& throttle : throttles)
    for (const BlockDeviceValue& value : throttle.values)
      out.text("io", "io.max",
               fmt::format("{}:{} {}={}", value.major, value.minor, throttle.key, value.value),
               throttle.field);
}

}  // namespace

std::vector<CgroupSetting> cgroup_settings_v1(const Resources& resources) {
  Settings out;
  cpuset(resources.cpu, out);
  cpu_v1(resources.cpu, out);
  memory_v1(resources.memory, out);
  if (resources.pids) out.text("pids", "pids.max", pids_value(*resources.pids), "pids.limit");
  block_io_v1(resources.block_io, out);
  hugepages(resources, "limit_in_bytes", out);
  out.number("net_cls", "net_cls.classid", resources.network_class, "network.classID");
  for (const auto& [name, priority] : resources.network_priorities)
    out.text("net_prio", "net_prio.ifpriomap", fmt::format("{} {}", name, priority),
             "network.priorities");
  rdma(resources, out);
  return std::move(out.out);
}

std::vector<CgroupSetting> cgroup_settings_v2(const Resources& resources) {
  Settings out;
  cpuset(resources.cpu, out);
  cpu_v2(resources.cpu, out);
  memory_v2(resources.memory, out);
  if (resources.pids) out.text("pids", "pids.max", pids_value(*resources.pids), "pids.limit");
  block_io_v2(resources.block_io, out);
  hugepages(resources, "max", out);
  rdma(resources, out);
  for (const auto& [file, value] : resources.unified) {
    const std::string controller = file.substr(0, file.find('.'));
    out.text(controller == "cgroup" ? "" : controller, file, value, "unified." + file);
  }
  return std::move(out.out);
}

std::string_view controller_v2(std::string_view controller) {
  return controller == "blkio" ? "io" : controller;
}

bool is_only_v1(const CgroupSetting& setting) {
  constexpr std::string_view kFields[] = {
      "memory.kernelTCP",    "memory.swappiness", "memory.disableOOMKiller", "cpu.realtimePeriod",
      "cpu.realtimeRuntime", "network.classID",   "network.priorities"};
  return std::any_of(std::begin(kFields), std::end(kFields), [&](std::string_view field) {
    return setting.field == std::string(kField).append(field);
  });
}

}  // namespace kist::bundle

// The limits of `run`, `create` and `update`.
#include <charconv>
#include <limits>

#include "base/text.h"
#include "container_cli/numbers.h"
#include "container_cli/record_of.h"
#include "containers/machine.h"
#include "containers/resources_of.h"

namespace kist::container_cli {
namespace {

using cli::Parsed;
using containers::LimitRequest;

// What docker takes and these cgroups have nothing for: none is dropped in silence.
Result<void> only_version_1(const Parsed& parsed, const char* flag) {
  if (!parsed.has(flag) || !containers::has_unified_cgroups()) return {};
  return Error(Code::unsupported, "{}: cgroups of version 2, which this host has, have nothing for it", flag)
      .hint("leave it out: `--memory-swap` and `--cpu-shares` are what version 2 has");
}

Result<void> read_swap(const Parsed& parsed, LimitRequest& limits) {
  if (const std::string swap = parsed.value("--memory-swap"); swap == "-1") {
    limits.memory_swap_bytes = -1;
  } else if (!swap.empty()) {
    const uint64_t bytes = TRY(launch::parse_size(swap), "--memory-swap");
    limits.memory_swap_bytes = static_cast<int64_t>(bytes);
    if (bytes < limits.memory_bytes)
      return Error(Code::invalid, "--memory-swap: memory and swap together cannot be less than --memory");
  }
  if (limits.memory_swap_bytes > 0 && limits.memory_bytes == 0)
    return Error(Code::invalid, "--memory-swap: it is the sum of memory and swap, so --memory is wanted too");
  TRY(only_version_1(parsed, "--memory-swappiness"));
  // As docker: -1 is no wish.
  if (parsed.has("--memory-swappiness"))
    limits.memory_swappiness = TRY(whole_number(parsed.value("--memory-swappiness"), "--memory-swappiness", -1, 100));
  return {};
}

Result<void> read_memory(const Parsed& parsed, LimitRequest& limits) {
  constexpr uint64_t kLeastMemory = 6 << 20;  // As docker: less, and nothing starts.
  // As docker: 0 is no limit.
  if (parsed.value("--memory") == "0") {
    limits.memory_bytes = 0;
  } else if (parsed.has("--memory")) {
    limits.memory_bytes = TRY(launch::parse_size(parsed.value("--memory")), "--memory");
    if (limits.memory_bytes < kLeastMemory)
      return Error(Code::invalid, "--memory: {} is less than the least that can start something, 6m",
                   printable(parsed.value("--memory")));
  }
  TRY(read_swap(parsed, limits));
  if (parsed.has("--memory-reservation"))
    limits.memory_reservation_bytes = TRY(launch::parse_size(parsed.value("--memory-reservation")), "--memory-reservation");
  if (limits.memory_bytes != 0 && limits.memory_reservation_bytes > limits.memory_bytes)
    return Error(Code::invalid, "--memory-reservation cannot be more than --memory");
  TRY(only_version_1(parsed, "--oom-kill-disable"));
  limits.oom_kill_disable = limits.oom_kill_disable || parsed.has("--oom-kill-disable");
  return {};
}

Result<void> read_realtime(const Parsed& parsed, LimitRequest& limits) {
  for (const char* flag : {"--cpu-rt-period", "--cpu-rt-runtime"}) TRY(only_version_1(parsed, flag));
  constexpr uint64_t kMostPeriod = 1'000'000;
  if (parsed.has("--cpu-rt-period"))
    limits.cpu_realtime_period_us = TRY(count(parsed.value("--cpu-rt-period"), "--cpu-rt-period", 1, kMostPeriod));
  if (parsed.has("--cpu-rt-runtime"))
    limits.cpu_realtime_runtime_us = TRY(count(parsed.value("--cpu-rt-runtime"), "--cpu-rt-runtime", 1, kMostPeriod));
  if (limits.cpu_realtime_runtime_us > limits.cpu_realtime_period_us && limits.cpu_realtime_period_us != 0)
    return Error(Code::invalid, "--cpu-rt-runtime: more than --cpu-rt-period");
  return {};
}

Result<void> read_processors(const Parsed& parsed, LimitRequest& limits) {
  const bool in_parts = parsed.has("--cpu-quota") || parsed.has("--cpu-period");
  if (parsed.has("--cpus") && in_parts)
    return Error(Code::invalid, "--cpus and {} say the same: give one of them",
                 parsed.has("--cpu-quota") ? "--cpu-quota" : "--cpu-period");
  if (parsed.has("--cpus")) {
    const std::string text = parsed.value("--cpus");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limits.cpus);
    if (error != std::errc() || end != text.data() + text.size() || limits.cpus < 0.01 || limits.cpus > 1e5)
      return Error(Code::invalid, "--cpus: '{}' is not a number of processors, for example 1.5", printable(text));
    limits.cpu_quota_us = 0;
    limits.cpu_period_us = 0;
  }
  if (in_parts) limits.cpus = 0;
  if (parsed.has("--cpu-period"))
    limits.cpu_period_us = TRY(count(parsed.value("--cpu-period"), "--cpu-period", 1000, 1'000'000));
  if (parsed.has("--cpu-quota")) {
    limits.cpu_quota_us = TRY(whole_number(parsed.value("--cpu-quota"), "--cpu-quota", -1, 1'000'000'000'000));
    if (limits.cpu_quota_us > 0 && limits.cpu_quota_us < 1000)
      return Error(Code::invalid, "--cpu-quota: {} is less than the least, 1000", limits.cpu_quota_us);
  }
  if (parsed.has("--cpu-shares"))
    limits.cpu_shares = TRY(count(parsed.value("--cpu-shares"), "--cpu-shares", 2, 262144));
  limits.cpuset_cpus = parsed.value("--cpuset-cpus", limits.cpuset_cpus);
  limits.cpuset_mems = parsed.value("--cpuset-mems", limits.cpuset_mems);
  return read_realtime(parsed, limits);
}

// "/dev/sda:10mb"
Result<void> read_devices(const Parsed& parsed, const char* flag, bool is_size, uint64_t least, uint64_t most,
                          std::vector<containers::DeviceNumber>& out) {
  for (const std::string& text : parsed.values(flag)) {
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos || text.empty() || text[0] != '/')
      return Error(Code::invalid, "{}: '{}' is not DEVICE:{}, for example /dev/sda:{}", flag, printable(text),
                   is_size ? "SIZE" : "N", is_size ? "10mb" : "500");
    containers::DeviceNumber one;
    one.path = text.substr(0, colon);
    const std::string number = text.substr(colon + 1);
    if (is_size) one.value = TRY(launch::parse_size(number), "{}", flag);
    else one.value = TRY(count(number, flag, least, most));
    TRY(containers::block_device(one.path), "{}", flag);
    std::erase_if(out, [&](const containers::DeviceNumber& old) { return old.path == one.path; });
    out.push_back(std::move(one));
  }
  return {};
}

Result<void> read_disks(const Parsed& parsed, LimitRequest& limits) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (parsed.has("--blkio-weight"))
    limits.block_io_weight = TRY(count(parsed.value("--blkio-weight"), "--blkio-weight", 10, 1000));
  TRY(read_devices(parsed, "--blkio-weight-device", false, 10, 1000, limits.block_io_weights));
  TRY(read_devices(parsed, "--device-read-bps", true, 1, kMost, limits.read_bps));
  TRY(read_devices(parsed, "--device-write-bps", true, 1, kMost, limits.write_bps));
  TRY(read_devices(parsed, "--device-read-iops", false, 1, kMost, limits.read_iops));
  return read_devices(parsed, "--device-write-iops", false, 1, kMost, limits.write_iops);
}

}  // namespace

Result<int64_t> whole_number(std::string_view text, std::string_view flag, int64_t least, int64_t most) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    return Error(Code::invalid, "{}: '{}' is no number from {} to {}", flag, printable(text), least, most);
  return value;
}

Result<uint64_t> count(std::string_view text, std::string_view flag, uint64_t least, uint64_t most) {
  const int64_t value = TRY(whole_number(text, flag, static_cast<int64_t>(least), static_cast<int64_t>(most)));
  return static_cast<uint64_t>(value);
}

Result<void> read_limits(const Parsed& parsed, LimitRequest& limits) {
  TRY(read_memory(parsed, limits));
  TRY(read_processors(parsed, limits));
  if (parsed.has("--pids-limit"))
    limits.pids = TRY(whole_number(parsed.value("--pids-limit"), "--pids-limit", -1, 4'194'304));
  return read_disks(parsed, limits);
}

}  // namespace kist::container_cli

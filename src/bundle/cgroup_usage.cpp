// What a container has used, as its cgroups tell it.
#include <linux/magic.h>
#include <unistd.h>

#include "base/text.h"
#include "bundle/cgroups.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

constexpr uint64_t kMostBytes = 1u << 20;
constexpr uint64_t kNsPerUs = 1000;

class Files {
 public:
  explicit Files(const CgroupFolder& folder) : path_(folder.path) {}
  std::string text(const char* name) const {
    const auto got = os::read_file(os::join(path_, name), kMostBytes);
    return got ? std::string(trim(*got)) : std::string();
  }
  uint64_t number(const char* name) const { return parse_number(text(name)).value_or(0); }
  /// "KEY VALUE" lines.
  std::map<std::string, uint64_t> table(const char* name) const {
    std::map<std::string, uint64_t> out;
    const std::string all = text(name);
    for (const std::string_view line : lines(all)) {
      const auto fields = split(line, ' ');
      if (fields.size() == 2) out[std::string(fields[0])] = parse_number(fields[1]).value_or(0);
    }
    return out;
  }

 private:
  std::string path_;
};

uint64_t value_of(const std::map<std::string, uint64_t>& table, const char* key) {
  const auto found = table.find(key);
  return found == table.end() ? 0 : found->second;
}

// "8:0 Read 4096"
void add_io(const std::string& text, std::vector<Usage::Io>& out) {
  for (const std::string_view line : lines(text)) {
    const auto fields = split(line, ' ');
    if (fields.size() != 3) continue;
    const auto numbers = split(fields[0], ':');
    if (numbers.size() != 2) continue;
    out.push_back({.major = parse_number(numbers[0]).value_or(0),
                   .minor = parse_number(numbers[1]).value_or(0),
                   .operation = std::string(fields[1]),
                   .value = parse_number(fields[2]).value_or(0)});
  }
}

// "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …"
void add_io_v2(const std::string& text, Usage& usage) {
  for (const std::string_view line : lines(text)) {
    const auto fields = split(line, ' ');
    const auto numbers = split(fields[0], ':');
    if (numbers.size() != 2) continue;
    for (const std::string_view field : fields) {
      const size_t equals = field.find('=');
      if (equals == std::string_view::npos) continue;
      const std::string_view key = field.substr(0, equals);
      const bool bytes = key.ends_with("bytes");
      if (!bytes && !key.ends_with("ios")) continue;
      (bytes ? usage.io_bytes : usage.io_operations)
          .push_back({.major = parse_number(numbers[0]).value_or(0),
                      .minor = parse_number(numbers[1]).value_or(0),
                      .operation = key[0] == 'r' ? "Read" : key[0] == 'w' ? "Write" : "Discard",
                      .value = parse_number(field.substr(equals + 1)).value_or(0)});
    }
  }
}

void read_v1(const Cgroups& cgroups, Usage& usage) {
  if (const CgroupFolder* folder = cgroups.find("cpuacct"); folder != nullptr) {
    const Files files(*folder);
    usage.cpu_total_ns = files.number("cpuacct.usage");
    const auto stat = files.table("cpuacct.stat");
    const auto tick_ns = uint64_t{1'000'000'000} / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
    usage.cpu_user_ns = value_of(stat, "user") * tick_ns;
    usage.cpu_system_ns = value_of(stat, "system") * tick_ns;
    const std::string per_core = files.text("cpuacct.usage_percpu");
    for (const std::string_view number : split(per_core, ' '))
      if (!number.empty()) usage.cpu_per_core_ns.push_back(parse_number(number).value_or(0));
  }
  if (const CgroupFolder* folder = cgroups.find("memory"); folder != nullptr) {
    const Files files(*folder);
    usage.memory_bytes = files.number("memory.usage_in_bytes");
    usage.memory_limit_bytes = files.number("memory.limit_in_bytes");
    usage.memory_peak_bytes = files.number("memory.max_usage_in_bytes");
    usage.memory_failures = files.number("memory.failcnt");
    usage.memory_swap_bytes = files.number("memory.memsw.usage_in_bytes");
    usage.memory_raw = files.table("memory.stat");
    usage.memory_cache_bytes = value_of(usage.memory_raw, "cache");
    usage.oom_kills = value_of(files.table("memory.oom_control"), "oom_kill");
  }
  if (const CgroupFolder* folder = cgroups.find("blkio"); folder != nullptr) {
    const Files files(*folder);
    add_io(files.text("blkio.throttle.io_service_bytes_recursive"), usage.io_bytes);
    add_io(files.text("blkio.throttle.io_serviced_recursive"), usage.io_operations);
  }
}

void read_v2(const CgroupFolder& folder, Usage& usage) {
  const Files files(folder);
  const auto cpu = files.table("cpu.stat");
  usage.cpu_total_ns = value_of(cpu, "usage_usec") * kNsPerUs;
  usage.cpu_user_ns = value_of(cpu, "user_usec") * kNsPerUs;
  usage.cpu_system_ns = value_of(cpu, "system_usec") * kNsPerUs;
  usage.memory_bytes = files.number("memory.current");
  usage.memory_limit_bytes = files.number("memory.max");
  usage.memory_peak_bytes = files.number("memory.peak");
  usage.memory_swap_bytes = files.number("memory.swap.current");
  usage.memory_raw = files.table("memory.stat");
  usage.memory_cache_bytes = value_of(usage.memory_raw, "file");
  const auto events = files.table("memory.events");
  usage.memory_failures = value_of(events, "max");
  usage.oom_kills = value_of(events, "oom_kill");
  add_io_v2(files.text("io.stat"), usage);
}

}  // namespace

Result<Usage> Cgroups::usage() const {
  if (folders_.empty())
    return Error(Code::unsupported, "the container has no cgroup, so what it uses is not known");
  Usage usage;
  const CgroupFolder* memory = find("memory");
  if (memory != nullptr && memory->version == 2)
    read_v2(*memory, usage);
  else
    read_v1(*this, usage);
  if (const CgroupFolder* folder = find("cpu"); folder != nullptr) {
    const auto stat = Files(*folder).table("cpu.stat");
    usage.periods = value_of(stat, "nr_periods");
    usage.throttled_periods = value_of(stat, "nr_throttled");
    usage.throttled_ns = folder->version == 1 ? value_of(stat, "throttled_time")
                                              : value_of(stat, "throttled_usec") * kNsPerUs;
  }
  if (const CgroupFolder* folder = find("pids"); folder != nullptr) {
    usage.pids = Files(*folder).number("pids.current");
    usage.pids_limit = Files(*folder).number("pids.max");
  }
  return usage;
}

MemoryPeak Cgroups::memory_peak() const {
  const CgroupFolder* folder = find("memory");
  if (folder == nullptr) return {};
  const Files files(*folder);
  if (folder->version == 2)
    return {files.number("memory.peak"), files.number("memory.max"), value_of(files.table("memory.events"), "oom_kill")};
  return {files.number("memory.max_usage_in_bytes"), files.number("memory.limit_in_bytes"),
          value_of(files.table("memory.oom_control"), "oom_kill")};
}

}  // namespace kist::bundle

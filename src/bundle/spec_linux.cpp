#include <linux/sched.h>
#include <seccomp.h>
#include <sys/personality.h>

#include <algorithm>

#include "base/text.h"
#include "bundle/spec_parts.h"

namespace kist::bundle {
namespace {

void read_namespaces(const Value& json, std::vector<Namespace>& out) {
  json.each([&](const Value& item) {
    Namespace ns;
    ns.flag = read_word(item["type"], namespace_words(), "a namespace");
    item["path"].to(ns.path);
    if (!ns.path.empty() && ns.path[0] != '/')
      item["path"].wrong("want an absolute path, got {}", item["path"].shown());
    for (const Namespace& other : out)
      if (other.flag == ns.flag) item["type"].wrong("{} is there twice", item["type"].shown());
    out.push_back(std::move(ns));
  });
}

void read_devices(const Value& json, std::vector<Device>& out) {
  json.each([&](const Value& item) {
    Device device;
    item["path"].to(device.path);
    if (!device.path.starts_with('/'))
      item["path"].wrong("want an absolute path, got {}", item["path"].shown());
    std::string type;
    item["type"].to(type);
    if (type.size() != 1 || std::string_view("cbup").find(type[0]) == std::string_view::npos)
      return item["type"].wrong("want c, b, u or p, got {}", item["type"].shown());
    device.type = type[0] == 'u' ? 'c' : type[0];
    if (device.type != 'p' && !(item["major"].present() && item["minor"].present()))
      item.wrong("a device needs major and minor");
    item["major"].to(device.major);
    item["minor"].to(device.minor);
    item["fileMode"].to(device.mode);
    item["uid"].to(device.uid);
    item["gid"].to(device.gid);
    out.push_back(std::move(device));
  });
}

void read_time_offsets(const Value& json, std::vector<TimeOffset>& out) {
  json.members([&](std::string_view name, const Value& value) {
    if (name != "monotonic" && name != "boottime")
      return value.wrong("there are only the clocks monotonic and boottime");
    TimeOffset offset{.clock = std::string(name), .seconds = 0, .nanoseconds = 0};
    value["secs"].to(offset.seconds);
    value["nanosecs"].to(offset.nanoseconds);
    out.push_back(std::move(offset));
  });
}

void read_personality(const Value& json, std::optional<unsigned long>& out) {
  if (!json.present()) return;
  constexpr Word kDomains[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}};
  out = read_word(json["domain"], kDomains, "an execution domain");
  json["flags"].each([](const Value& item) { item.wrong("no flag is supported"); });
}

void read_block_values(const Value& json, const char* key, std::vector<BlockDeviceValue>& out) {
  json.each([&](const Value& item) {
    BlockDeviceValue value;
    item["major"].to(value.major);
    item["minor"].to(value.minor);
    item[key].to(value.value);
    out.push_back(value);
  });
}

void read_block_io(const Value& json, BlockIoLimits& limits) {
  json["weight"].to(limits.weight);
  json["leafWeight"].to(limits.leaf_weight);
  read_block_values(json["weightDevice"], "weight", limits.weight_device);
  read_block_values(json["weightDevice"], "leafWeight", limits.leaf_weight_device);
  read_block_values(json["throttleReadBpsDevice"], "rate", limits.read_bps);
  read_block_values(json["throttleWriteBpsDevice"], "rate", limits.write_bps);
  read_block_values(json["throttleReadIOPSDevice"], "rate", limits.read_iops);
  read_block_values(json["throttleWriteIOPSDevice"], "rate", limits.write_iops);
}

void read_device_rules(const Value& json, std::vector<DeviceRule>& out) {
  json.each([&](const Value& item) {
    DeviceRule rule;
    item["allow"].to(rule.allow);
    std::string type;
    item["type"].to(type);
    if (type.empty()) type.push_back('a');
    if (type.size() != 1 || std::string_view("abc").find(type[0]) == std::string_view::npos)
      return item["type"].wrong("want a, b or c, got {}", item["type"].shown());
    rule.type = type[0];
    for (const auto& [key, number] : {std::pair{"major", &rule.major}, {"minor", &rule.minor}}) {
      std::optional<int64_t> given;
      item[key].to(given);
      if (!given || *given == -1) continue;
      if (*given < 0 || *given > UINT32_MAX)
        return item[key].wrong("want a device number or -1, got {}", *given);
      *number = static_cast<uint32_t>(*given);
    }
    std::string access = "rwm";
    item["access"].to(access);
    if (access.empty() || access.find_first_not_of("rwm") != std::string::npos)
      return item["access"].wrong("want some of the letters rwm, got {}", item["access"].shown());
    rule.read = access.find('r') != std::string::npos;
    rule.write = access.find('w') != std::string::npos;
    rule.make = access.find('m') != std::string::npos;
    out.push_back(rule);
  });
}

void read_memory(const Value& json, MemoryLimits& memory) {
  json["limit"].to(memory.limit);
  json["reservation"].to(memory.reservation);
  json["swap"].to(memory.swap);
  json["kernel"].to(memory.kernel);
  json["kernelTCP"].to(memory.kernel_tcp);
  json["swappiness"].to(memory.swappiness);
  constexpr uint64_t kMost = 100;
  if (memory.swappiness && *memory.swappiness > kMost)
    json["swappiness"].wrong("want an integer from 0 to 100, got {}", *memory.swappiness);
  json["disableOOMKiller"].to(memory.disable_oom_killer);
  json["useHierarchy"].to(memory.use_hierarchy);
  json["checkBeforeUpdate"].to(memory.check_before_update);
}

void read_cpu(const Value& json, CpuLimits& cpu) {
  json["shares"].to(cpu.shares);
  json["quota"].to(cpu.quota_us);
  json["burst"].to(cpu.burst_us);
  json["period"].to(cpu.period_us);
  json["realtimeRuntime"].to(cpu.realtime_runtime_us);
  json["realtimePeriod"].to(cpu.realtime_period_us);
  json["cpus"].to(cpu.cpus);
  json["mems"].to(cpu.mems);
  json["idle"].to(cpu.idle);
}

void read_unified(const Value& json, std::map<std::string, std::string>& out) {
  json.members([&](std::string_view name, const Value& value) {
    // It becomes the name of a file.
    if (name.empty() || name.find('/') != std::string_view::npos || name[0] == '.')
      return value.wrong("is not the name of a cgroup file");
    value.to(out[std::string(name)]);
  });
}

}  // namespace

void read_seccomp_rule(const Value& json, SeccompRule& rule) {
  json["names"].to(rule.names);
  if (std::string name; rule.names.empty()) {
    json["name"].to(name);  // As profiles had it before 2017.
    if (!name.empty()) rule.names.push_back(name);
  }
  if (rule.names.empty()) json["names"].wrong("want at least one system call");
  rule.action = static_cast<SeccompAction>(
      read_word(json["action"], seccomp_action_words(), "an action"));
  json["errnoRet"].to(rule.error_number);
  json["args"].each([&](const Value& item) {
    SeccompArgument argument;
    item["index"].to(argument.index);
    constexpr uint32_t kLast = 5;
    if (argument.index > kLast) item["index"].wrong("want 0 to 5, got {}", argument.index);
    item["value"].to(argument.value);
    item["valueTwo"].to(argument.value_two);
    argument.operation =
        static_cast<uint32_t>(read_word(item["op"], seccomp_operator_words(), "a comparison"));
    rule.arguments.push_back(argument);
  });
}

void read_resource_fields(const Value& json, Resources& resources) {
  read_device_rules(json["devices"], resources.devices);
  read_memory(json["memory"], resources.memory);
  read_cpu(json["cpu"], resources.cpu);
  json["pids"]["limit"].to(resources.pids);
  read_block_io(json["blockIO"], resources.block_io);
  json["hugepageLimits"].each([&](const Value& item) {
    HugepageLimit limit;
    item["pageSize"].to(limit.page_size);
    const bool unit = limit.page_size.ends_with("KB") || limit.page_size.ends_with("MB") ||
                      limit.page_size.ends_with("GB");
    if (!unit || !parse_number(limit.page_size.substr(0, limit.page_size.size() - 2)))
      item["pageSize"].wrong("want a size such as \"2MB\", got {}", item["pageSize"].shown());
    item["limit"].to(limit.limit);
    resources.hugepages.push_back(std::move(limit));
  });
  json["network"]["classID"].to(resources.network_class);
  json["network"]["priorities"].each([&](const Value& item) {
    std::pair<std::string, uint32_t> priority;
    item["name"].to(priority.first);
    item["priority"].to(priority.second);
    resources.network_priorities.push_back(std::move(priority));
  });
  json["rdma"].members([&](std::string_view name, const Value& value) {
    RdmaLimit limit{.device = std::string(name), .handles = {}, .objects = {}};
    value["hcaHandles"].to(limit.handles);
    value["hcaObjects"].to(limit.objects);
    resources.rdma.push_back(std::move(limit));
  });
  read_unified(json["unified"], resources.unified);
}

void read_seccomp(const Value& json, std::optional<Seccomp>& out) {
  if (!json.present()) return;
  Seccomp& seccomp = out.emplace();
  seccomp.default_action = static_cast<SeccompAction>(
      read_word(json["defaultAction"], seccomp_action_words(), "an action"));
  json["defaultErrnoRet"].to(seccomp.default_error_number);
  json["architectures"].each([&](const Value& item) {
    seccomp.architectures.push_back(static_cast<uint32_t>(
        read_word(item, seccomp_architecture_words(), "an architecture")));
  });
  json["flags"].each([&](const Value& item) {
    seccomp.flags |= static_cast<uint32_t>(read_word(item, seccomp_flag_words(), "a filter flag"));
  });
  json["listenerPath"].to(seccomp.listener_path);
  json["listenerMetadata"].to(seccomp.listener_metadata);
  json["syscalls"].each([&](const Value& item) {
    read_seccomp_rule(item, seccomp.rules.emplace_back());
  });
  const bool notifies =
      std::any_of(seccomp.rules.begin(), seccomp.rules.end(),
                  [](const SeccompRule& rule) { return rule.action == SeccompAction::notify; });
  if (seccomp.default_action == SeccompAction::notify)
    json["defaultAction"].wrong("SCMP_ACT_NOTIFY cannot be the default");
  if (notifies && seccomp.listener_path.empty())
    json["listenerPath"].wrong("is needed for SCMP_ACT_NOTIFY");
}

void read_linux(const Value& json, Spec& spec) {
  read_namespaces(json["namespaces"], spec.namespaces);
  read_id_maps(json["uidMappings"], spec.uid_maps);
  read_id_maps(json["gidMappings"], spec.gid_maps);
  read_time_offsets(json["timeOffsets"], spec.time_offsets);
  read_devices(json["devices"], spec.devices);
  json["cgroupsPath"].to(spec.cgroups_path);
  read_resource_fields(json["resources"], spec.resources);
  read_seccomp(json["seccomp"], spec.seccomp);
  const Value propagation = json["rootfsPropagation"];
  std::string word;
  propagation.to(word);
  if (!word.empty())
    spec.root_propagation = read_word(propagation, propagation_words(), "a propagation");
  json["maskedPaths"].to(spec.masked_paths);
  json["readonlyPaths"].to(spec.readonly_paths);
  json["mountLabel"].to(spec.mount_label);
  json["sysctl"].members([&](std::string_view name, const Value& value) {
    if (name.empty() || name.find("..") != std::string_view::npos)
      return value.wrong("is not the name of a kernel setting");
    value.to(spec.sysctl[std::string(name)]);
  });
  read_personality(json["personality"], spec.personality);
  if (json["intelRdt"].present())
    json["intelRdt"].refuse(Code::unsupported,
                            "Intel RDT (cache and memory bandwidth classes) is not supported");
  if (!spec.time_offsets.empty() && spec.find_namespace(CLONE_NEWTIME) == nullptr)
    json["timeOffsets"].wrong("offsets need a time namespace in linux.namespaces");
}

}  // namespace kist::bundle

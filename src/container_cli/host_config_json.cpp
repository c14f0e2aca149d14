#include "container_cli/host_config_json.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace kist::container_cli {
namespace {

namespace json = boost::json;

// As docker's HostConfig.Binds: "SOURCE:TARGET[:OPTIONS]".
json::value binds_of(const containers::Record& record) {
  std::vector<std::string> out;
  for (const auto& mount : record.mounts) {
    if (mount.type == "tmpfs") continue;
    std::string options = mount.read_only ? "ro" : "";
    if (mount.no_copy) options += options.empty() ? "nocopy" : ",nocopy";
    if (!mount.propagation.empty()) options += (options.empty() ? "" : ",") + mount.propagation;
    out.push_back(mount.source + ":" + mount.destination + (options.empty() ? "" : ":" + options));
  }
  return null_if_empty(out);
}

json::object port_bindings(const containers::Record& record) {
  json::object out;
  for (const auto& port : record.ports) {
    const std::string key = fmt::format("{}/{}", port.container_port, port.protocol);
    if (!out.contains(key)) out[key] = json::array();
    out[key].get_array().push_back(json::object{
        {"HostIp", json_text(port.host_ip)}, {"HostPort", json_text(port.host_port == 0 ? "" : fmt::format("{}", port.host_port))}});
  }
  return out;
}

json::array devices_of(const containers::Record& record) {
  json::array out;
  for (const std::string& device : record.devices) {
    const auto parts = split(device, ':');
    const bool has_inside = parts.size() > 1 && parts[1].starts_with('/');
    const std::string_view rights = parts.size() > (has_inside ? 2 : 1) ? parts.back() : std::string_view("rwm");
    out.push_back(json::object{{"PathOnHost", json_text(parts[0])},
                               {"PathInContainer", json_text(has_inside ? parts[1] : parts[0])},
                               {"CgroupPermissions", json_text(rights)}});
  }
  return out;
}

// As docker's HostConfig.Tmpfs: of --tmpfs and of --mount type=tmpfs.
json::object tmpfs_of(const containers::Record& record) {
  json::object out;
  for (const auto& mount : record.mounts) {
    if (mount.type != "tmpfs") continue;
    std::string options = mount.options;
    const auto add = [&](const std::string& option) { options += (options.empty() ? "" : ",") + option; };
    if (mount.read_only) add("ro");
    if (mount.size_bytes != 0) add(fmt::format("size={}", mount.size_bytes));
    if (mount.mode != containers::MountRequest().mode) add(fmt::format("mode={:o}", mount.mode));
    out[mount.destination] = json_text(options);
  }
  return out;
}

json::array devices_with(const std::vector<containers::DeviceNumber>& devices, const char* name) {
  json::array out;
  for (const containers::DeviceNumber& one : devices)
    out.push_back(json::object{{"Path", json_text(one.path)}, {name, one.value}});
  return out;
}

void add_disks(const containers::LimitRequest& limits, json::object& out) {
  out["BlkioWeight"] = limits.block_io_weight;
  out["BlkioWeightDevice"] = devices_with(limits.block_io_weights, "Weight");
  out["BlkioDeviceReadBps"] = devices_with(limits.read_bps, "Rate");
  out["BlkioDeviceWriteBps"] = devices_with(limits.write_bps, "Rate");
  out["BlkioDeviceReadIOps"] = devices_with(limits.read_iops, "Rate");
  out["BlkioDeviceWriteIOps"] = devices_with(limits.write_iops, "Rate");
}

void add_limits(const containers::Record& record, json::object& out) {
  const auto& limits = record.limits;
  json::array ulimits;
  for (const auto& limit : record.ulimits)
    ulimits.push_back(json::object{{"Name", json_text(limit.name)}, {"Soft", static_cast<int64_t>(limit.soft)}, {"Hard", static_cast<int64_t>(limit.hard)}});
  out["CpuShares"] = limits.cpu_shares;
  out["Memory"] = limits.memory_bytes;
  out["NanoCpus"] = static_cast<int64_t>(std::llround(limits.cpus * 1e9));
  out["CgroupParent"] = json_text(record.cgroup_parent);
  add_disks(limits, out);
  out["CpuPeriod"] = limits.cpu_period_us;
  out["CpuQuota"] = limits.cpu_quota_us;
  out["CpuRealtimePeriod"] = limits.cpu_realtime_period_us;
  out["CpuRealtimeRuntime"] = limits.cpu_realtime_runtime_us;
  out["CpusetCpus"] = json_text(limits.cpuset_cpus);
  out["CpusetMems"] = json_text(limits.cpuset_mems);
  out["Devices"] = devices_of(record);
  out["DeviceCgroupRules"] = null_if_empty(record.device_rules);
  out["MemoryReservation"] = limits.memory_reservation_bytes;
  // As docker: without a word of swap, as much swap as memory.
  out["MemorySwap"] = limits.memory_swap_bytes == 0 ? static_cast<int64_t>(limits.memory_bytes * 2) : limits.memory_swap_bytes;
  out["MemorySwappiness"] = limits.memory_swappiness < 0 ? json::value(nullptr) : json::value(limits.memory_swappiness);
  out["OomKillDisable"] = limits.oom_kill_disable;
  out["PidsLimit"] = limits.pids == 0 ? json::value(nullptr) : json::value(limits.pids);
  out["Ulimits"] = std::move(ulimits);
}

// There is none to be private where cgroups are version 1 (spec_of.cpp).
std::string_view cgroup_namespace_of(const containers::Record& record) {
  if (!record.cgroup_namespace.empty()) return record.cgroup_namespace;
  return containers::has_unified_cgroups() ? "private" : "host";
}

// "/db:/web/database": whom it knows by which name.
json::value links_of(const Here& here, const containers::Record& record) {
  std::vector<std::string> out;
  for (const std::string& link : record.links) {
    const size_t colon = link.find(':');
    const auto other = here.place.record(link.substr(0, colon));
    out.push_back(fmt::format("/{}:/{}/{}", other ? other->name : link.substr(0, colon), record.name, link.substr(colon + 1)));
  }
  return null_if_empty(out);
}

}  // namespace

json::string json_text(std::string_view value) { return json::string(value.data(), value.size()); }

json::array json_list(const std::vector<std::string>& values) {
  json::array out;
  for (const std::string& value : values) out.push_back(json_text(value));
  return out;
}

json::value null_if_empty(const std::vector<std::string>& values) {
  return values.empty() ? json::value(nullptr) : json::value(json_list(values));
}

json::object host_config_of(const Here& here, const containers::Record& record) {
  json::object sysctls;
  for (const auto& [key, value] : record.sysctls) sysctls[key] = json_text(value);
  json::object log;
  if (record.log_max_bytes != 0) {
    log["max-size"] = json_text(fmt::format("{}", record.log_max_bytes));
    log["max-file"] = json_text(fmt::format("{}", record.log_max_files));
  }
  json::object out{
      {"Binds", binds_of(record)},
      {"ContainerIDFile", ""},
      {"LogConfig", json::object{{"Type", json_text(record.log_driver)}, {"Config", std::move(log)}}},
      {"NetworkMode", json_text(record.network)},
      {"PortBindings", port_bindings(record)},
      {"RestartPolicy", json::object{{"Name", json_text(record.restart.name)}, {"MaximumRetryCount", record.restart.maximum}}},
      {"AutoRemove", record.auto_remove},
      {"VolumeDriver", ""},
      {"VolumesFrom", nullptr},
      {"CapAdd", null_if_empty(record.capabilities_added)},
      {"CapDrop", null_if_empty(record.capabilities_dropped)},
      {"CgroupnsMode", json_text(cgroup_namespace_of(record))},
      {"Dns", json_list(record.dns_servers)},
      {"DnsOptions", json_list(record.dns_options)},
      {"DnsSearch", json_list(record.dns_search)},
      {"ExtraHosts", null_if_empty(record.extra_hosts)},
      {"GroupAdd", null_if_empty(record.groups)},
      {"IpcMode", json_text(record.ipc.empty() ? "private" : record.ipc)},
      {"Links", links_of(here, record)},
      {"OomScoreAdj", record.oom_score_adj},
      {"PidMode", json_text(record.pid)},
      {"Privileged", record.privileged},
      {"PublishAllPorts", record.publish_all},
      {"ReadonlyRootfs", record.read_only},
      {"SecurityOpt", null_if_empty(record.security_options)},
      {"UTSMode", json_text(record.uts)},
      {"UsernsMode", json_text(record.ids)},
      {"ShmSize", record.shm_bytes},
      {"Runtime", "kist"},
      {"Init", record.init ? json::value(true) : json::value(nullptr)}};
  if (!record.annotations.empty()) {
    json::object annotations;
    for (const auto& [key, value] : record.annotations) annotations[key] = json_text(value);
    out["Annotations"] = std::move(annotations);
  }
  if (!sysctls.empty()) out["Sysctls"] = std::move(sysctls);
  if (json::object tmpfs = tmpfs_of(record); !tmpfs.empty()) out["Tmpfs"] = std::move(tmpfs);
  add_limits(record, out);
  return out;
}

}  // namespace kist::container_cli

#include "containers/record.h"

#include <boost/json.hpp>

#include "base/text.h"
#include "containers/json_fields.h"

namespace kist::containers {
namespace {

// One list of fields for both directions: what is written is what is read.
template <class F>
void fields(F& f, MountRequest& m) {
  f("type", m.type);
  f("source", m.source);
  f("destination", m.destination);
  f("readOnly", m.read_only);
  f("recursive", m.recursive);
  f("noCopy", m.no_copy);
  f("propagation", m.propagation);
  f("sizeBytes", m.size_bytes);
  f("mode", m.mode);
  f("options", m.options);
}

template <class F>
void fields(F& f, UlimitRequest& u) {
  f("name", u.name);
  f("soft", u.soft);
  f("hard", u.hard);
}

template <class F>
void fields(F& f, NetworkRequest& n) {
  f("name", n.name);
  f("aliases", n.aliases);
  f("ipv4", n.ipv4);
  f("ipv6", n.ipv6);
  f("mac", n.mac);
}

template <class F>
void fields(F& f, PortRequest& p) {
  f("hostIp", p.host_ip);
  f("hostPort", p.host_port);
  f("containerPort", p.container_port);
  f("protocol", p.protocol);
}

template <class F>
void fields(F& f, DeviceNumber& d) {
  f("path", d.path);
  f("value", d.value);
}

template <class F>
void fields(F& f, LimitRequest& l) {
  f("memoryBytes", l.memory_bytes);
  f("memorySwapBytes", l.memory_swap_bytes);
  f("memoryReservationBytes", l.memory_reservation_bytes);
  f("memorySwappiness", l.memory_swappiness);
  f("oomKillDisable", l.oom_kill_disable);
  f("cpus", l.cpus);
  f("cpuPeriodUs", l.cpu_period_us);
  f("cpuQuotaUs", l.cpu_quota_us);
  f("cpuRealtimePeriodUs", l.cpu_realtime_period_us);
  f("cpuRealtimeRuntimeUs", l.cpu_realtime_runtime_us);
  f("cpuShares", l.cpu_shares);
  f("cpusetCpus", l.cpuset_cpus);
  f("cpusetMems", l.cpuset_mems);
  f("pids", l.pids);
  f("blockIoWeight", l.block_io_weight);
  f("blockIoWeights", l.block_io_weights);
  f("readBps", l.read_bps);
  f("writeBps", l.write_bps);
  f("readIops", l.read_iops);
  f("writeIops", l.write_iops);
}

template <class F>
void fields(F& f, RestartPolicy& r) {
  f("name", r.name);
  f("maximum", r.maximum);
}

template <class F>
void fields(F& f, HealthCheck& h) {
  f("test", h.test);
  f("intervalNs", h.interval_ns);
  f("timeoutNs", h.timeout_ns);
  f("startPeriodNs", h.start_period_ns);
  f("startIntervalNs", h.start_interval_ns);
  f("retries", h.retries);
  f("shell", h.shell);
}

template <class F>
void identity_fields(F& f, Record& r) {
  f("id", r.id);
  f("name", r.name);
  f("createdNs", r.created_ns);
  f("image", r.image);
  f("imageId", r.image_id);
  f("entrypoint", r.entrypoint);
  f("command", r.command);
  f("env", r.env);
  f("workingDir", r.working_dir);
  f("user", r.user);
  f("groups", r.groups);
  f("hostname", r.hostname);
  f("domainName", r.domain_name);
  f("tty", r.tty);
  f("openStdin", r.open_stdin);
  f("stdinOnce", r.stdin_once);
  f("autoRemove", r.auto_remove);
  f("readOnly", r.read_only);
  f("init", r.init);
  f("privileged", r.privileged);
}

template <class F>
void fields(F& f, Record& r) {
  identity_fields(f, r);
  f("mounts", r.mounts);
  f("devices", r.devices);
  f("deviceRules", r.device_rules);
  f("capabilitiesAdded", r.capabilities_added);
  f("capabilitiesDropped", r.capabilities_dropped);
  f("securityOptions", r.security_options);
  f("ulimits", r.ulimits);
  f("sysctls", r.sysctls);
  f("extraHosts", r.extra_hosts);
  f("noHosts", r.no_hosts);
  f("links", r.links);
  f("dnsServers", r.dns_servers);
  f("dnsSearch", r.dns_search);
  f("dnsOptions", r.dns_options);
  f("network", r.network);
  f("networks", r.networks);
  f("ports", r.ports);
  f("exposedPorts", r.exposed_ports);
  f("publishAll", r.publish_all);
  f("ipc", r.ipc);
  f("pid", r.pid);
  f("uts", r.uts);
  f("userNamespace", r.user_namespace);
  f("ids", r.ids);
  f("cgroupNamespace", r.cgroup_namespace);
  f("cgroupParent", r.cgroup_parent);
  f("limits", r.limits);
  f("bestEffort", r.best_effort);
  f("shmBytes", r.shm_bytes);
  f("oomScoreAdj", r.oom_score_adj);
  f("restart", r.restart);
  f("health", r.health);
  f("stopSignal", r.stop_signal);
  f("stopTimeoutS", r.stop_timeout_s);
  f("logDriver", r.log_driver);
  f("logMaxBytes", r.log_max_bytes);
  f("logMaxFiles", r.log_max_files);
  f("labels", r.labels);
  f("annotations", r.annotations);
  f("timeZone", r.time_zone);
  f("umask", r.umask);
}

constexpr int kVersion = 1;
constexpr size_t kMaxBytes = 16u << 20;

}  // namespace

std::vector<std::string> Record::args() const {
  std::vector<std::string> out = entrypoint;
  out.insert(out.end(), command.begin(), command.end());
  return out;
}

std::string encode(const Record& record) {
  JsonWriter writer([](auto& f, auto& value) { fields(f, value); });
  boost::json::object root = writer.object_of(record);
  root["version"] = kVersion;
  return boost::json::serialize(root) + "\n";
}

Result<Record> decode_record(std::string_view json) {
  if (json.size() > kMaxBytes)
    return Error(Code::corrupt, "the container's record has {} bytes, at most {} are read", json.size(), kMaxBytes);
  boost::system::error_code failed;
  boost::json::parse_options any_bytes;  // Paths and variables may hold any but NUL.
  any_bytes.allow_invalid_utf8 = true;
  const boost::json::value root =
      boost::json::parse({json.data(), json.size()}, failed, {}, any_bytes);
  if (failed || !root.is_object())
    return Error(Code::corrupt, "the container's record is not JSON: {}",
                 failed ? failed.message() : "no object");
  const auto version = root.get_object().if_contains("version");
  if (version == nullptr || !version->is_int64() || version->get_int64() != kVersion)
    return Error(Code::corrupt, "the container's record has another version than {}", kVersion);
  Record record;
  JsonReader reader([](auto& f, auto& value) { fields(f, value); });
  reader.read(root.get_object(), record);
  if (!reader.wrong().empty())
    return Error(Code::corrupt, "the container's record: {} has the wrong type", reader.wrong());
  return record;
}

}  // namespace kist::containers

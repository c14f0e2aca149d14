// kist inspect
#include <boost/json.hpp>
#include <ctime>

#include "base/text.h"
#include "container_cli/network_json.h"
#include "container_cli/table.h"
#include "container_cli/verb.h"
#include "containers/health.h"

namespace kist::container_cli {
namespace {

namespace json = boost::json;

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

json::array list(const std::vector<std::string>& values) {
  json::array out;
  for (const std::string& value : values) out.push_back(text(value));
  return out;
}

json::value null_if_empty(const std::vector<std::string>& values) {
  return values.empty() ? json::value(nullptr) : json::value(list(values));
}

// docker's zero time for what has not happened.
json::string moment(int64_t ns) {
  if (ns == 0) return "0001-01-01T00:00:00Z";
  const time_t seconds = ns / 1'000'000'000;
  tm parts = {};
  ::gmtime_r(&seconds, &parts);
  char buffer[64];
  const size_t size = ::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%S", &parts);
  return text(fmt::format("{}.{:09}Z", std::string_view(buffer, size), ns % 1'000'000'000));
}

json::object state_of(const Here& here, const containers::Status& status) {
  json::object out{{"Status", text(name_of(status.phase))},
                   {"Running", status.phase == containers::Phase::running || status.phase == containers::Phase::paused},
                   {"Paused", status.phase == containers::Phase::paused},
                   {"Restarting", status.phase == containers::Phase::restarting},
                   {"OOMKilled", status.out_of_memory},
                   {"Dead", status.phase == containers::Phase::dead},
                   {"Pid", status.pid},
                   {"ExitCode", status.exit_code},
                   {"Error", text(status.error)},
                   {"StartedAt", moment(status.started_ns)},
                   {"FinishedAt", moment(status.finished_ns)}};
  if (!status.health.empty()) {
    json::array log;
    for (const auto& probe : containers::read_probes(here.place, status.id))
      log.push_back(json::object{{"Start", moment(probe.start_ns)}, {"End", moment(probe.end_ns)},
                                 {"ExitCode", probe.exit_code}, {"Output", text(probe.output)}});
    out["Health"] = json::object{{"Status", text(status.health)}, {"FailingStreak", status.health_failures}, {"Log", std::move(log)}};
  }
  if (status.memory_peak_bytes != 0) out["MemoryPeakBytes"] = status.memory_peak_bytes;
  return out;
}

json::array mounts_of(const Here& here, const containers::Record& record) {
  json::array out;
  for (const auto& mount : record.mounts) {
    json::object one{{"Type", text(mount.type)}};
    std::string source = mount.source;
    std::string mode = mount.read_only ? "ro" : "";
    if (mount.type == "volume") {
      const auto volume = here.volumes.find(mount.source);
      source = volume ? here.volumes.data_path(*volume) : "";
      one["Name"] = text(mount.source);
      one["Driver"] = text(volume ? volume->driver : "local");
      if (mode.empty()) mode = "z";
    }
    one["Source"] = text(source);
    one["Destination"] = text(mount.destination);
    one["Mode"] = text(mode);
    one["RW"] = !mount.read_only;
    one["Propagation"] = text(mount.type == "bind" && mount.propagation.empty() ? "rprivate" : mount.propagation);
    out.push_back(std::move(one));
  }
  return out;
}

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

json::object config_of(const containers::Record& record) {
  json::object labels;
  for (const auto& [key, value] : record.labels) labels[key] = text(value);
  json::object ports;
  for (const std::string& port : record.exposed_ports) ports[port] = json::object();
  json::object out{{"Hostname", text(record.hostname)},       {"Domainname", text(record.domain_name)},
                   {"User", text(record.user)},               {"Tty", record.tty},
                   {"OpenStdin", record.open_stdin},          {"StdinOnce", record.stdin_once},
                   {"Env", list(record.env)},                 {"Cmd", null_if_empty(record.command)},
                   {"Image", text(record.image)},             {"WorkingDir", text(record.working_dir)},
                   {"Entrypoint", null_if_empty(record.entrypoint)}, {"Labels", std::move(labels)},
                   {"StopSignal", text(record.stop_signal)},  {"StopTimeout", record.stop_timeout_s}};
  if (!ports.empty()) out["ExposedPorts"] = std::move(ports);
  if (!record.health.test.empty())
    out["Healthcheck"] = json::object{{"Test", list(record.health.test)}, {"Interval", record.health.interval_ns},
                                      {"Timeout", record.health.timeout_ns}, {"Retries", record.health.retries},
                                      {"StartPeriod", record.health.start_period_ns},
                                      {"StartInterval", record.health.start_interval_ns}};
  return out;
}

json::object port_bindings(const containers::Record& record) {
  json::object out;
  for (const auto& port : record.ports) {
    const std::string key = fmt::format("{}/{}", port.container_port, port.protocol);
    if (!out.contains(key)) out[key] = json::array();
    out[key].get_array().push_back(json::object{
        {"HostIp", text(port.host_ip)}, {"HostPort", text(port.host_port == 0 ? "" : fmt::format("{}", port.host_port))}});
  }
  return out;
}

json::object host_config_of(const containers::Record& record) {
  const auto& limits = record.limits;
  json::array ulimits;
  for (const auto& limit : record.ulimits)
    ulimits.push_back(json::object{{"Name", text(limit.name)}, {"Soft", static_cast<int64_t>(limit.soft)}, {"Hard", static_cast<int64_t>(limit.hard)}});
  return {{"Binds", binds_of(record)},
          {"NetworkMode", text(record.network)},
          {"PortBindings", port_bindings(record)},
          {"PublishAllPorts", record.publish_all},
          {"RestartPolicy", json::object{{"Name", text(record.restart.name)}, {"MaximumRetryCount", record.restart.maximum}}},
          {"AutoRemove", record.auto_remove},
          {"LogConfig", json::object{{"Type", text(record.log_driver)}, {"Config", json::object()}}},
          {"CapAdd", null_if_empty(record.capabilities_added)},
          {"CapDrop", null_if_empty(record.capabilities_dropped)},
          {"Dns", list(record.dns_servers)},
          {"DnsSearch", list(record.dns_search)},
          {"DnsOptions", list(record.dns_options)},
          {"ExtraHosts", null_if_empty(record.extra_hosts)},
          {"GroupAdd", null_if_empty(record.groups)},
          {"IpcMode", text(record.ipc.empty() ? "private" : record.ipc)},
          {"PidMode", text(record.pid)},
          {"UTSMode", text(record.uts)},
          {"CgroupParent", text(record.cgroup_parent)},
          {"OomScoreAdj", record.oom_score_adj},
          {"Privileged", record.privileged},
          {"ReadonlyRootfs", record.read_only},
          {"SecurityOpt", null_if_empty(record.security_options)},
          {"ShmSize", record.shm_bytes},
          {"Init", record.init},
          {"Memory", limits.memory_bytes},
          {"MemorySwap", limits.memory_swap_bytes},
          {"MemoryReservation", limits.memory_reservation_bytes},
          {"NanoCpus", static_cast<int64_t>(limits.cpus * 1e9)},
          {"CpuShares", limits.cpu_shares},
          {"CpusetCpus", text(limits.cpuset_cpus)},
          {"CpusetMems", text(limits.cpuset_mems)},
          {"PidsLimit", limits.pids == 0 ? json::value(nullptr) : json::value(limits.pids)},
          {"BlkioWeight", limits.block_io_weight},
          {"Ulimits", std::move(ulimits)}};
}

json::object describe(const Here& here, const containers::Record& record, const containers::Status& status) {
  const auto args = record.args();
  return {{"Id", text(record.id)},
          {"Created", moment(record.created_ns)},
          {"Path", text(args.empty() ? "" : args[0])},
          {"Args", list(args.empty() ? args : std::vector<std::string>(args.begin() + 1, args.end()))},
          {"State", state_of(here, status)},
          {"Image", text(record.image_id)},
          {"Name", text("/" + record.name)},
          {"RestartCount", status.restart_count},
          {"Driver", "kist"},
          {"Platform", "linux"},
          {"LogPath", text(record.log_driver == "none" ? "" : here.place.file_of(record.id, "log"))},
          {"HostConfig", host_config_of(record)},
          {"Mounts", mounts_of(here, record)},
          {"Config", config_of(record)},
          {"NetworkSettings", network_settings(here, record, status)}};
}

}  // namespace

Result<int> inspect_verb(const cli::Parsed& parsed, const Here& here) {
  json::array all;
  for (const std::string& name : parsed.positionals()) {
    const auto record = TRY(here.record(name));
    const auto status = TRY(here.place.status(record.id));
    all.push_back(describe(here, record, status));
    if (!parsed.has("--size")) continue;
    const Sizes sizes = sizes_of(here, record);
    all.back().get_object()["SizeRw"] = sizes.written;
    all.back().get_object()["SizeRootFs"] = sizes.written + sizes.image;
  }
  TRY(print_inspected(all, parsed.value("--format"), here.terminal));
  return 0;
}

}  // namespace kist::container_cli

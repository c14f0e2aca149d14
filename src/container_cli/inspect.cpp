// kist inspect
#include <boost/json.hpp>
#include <algorithm>
#include <cmath>
#include <ctime>

#include "base/text.h"
#include "container_cli/container_cli.h"
#include "container_cli/inspected.h"
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
  json::object volumes;
  for (const auto& mount : record.mounts)
    if (mount.type == "volume") volumes[mount.destination] = json::object();
  const bool attached = !record.open_stdin || record.stdin_once;
  json::object out{{"Hostname", text(record.hostname)},
                   {"Domainname", text(record.domain_name)},
                   {"User", text(record.user)},
                   {"AttachStdin", record.stdin_once},
                   {"AttachStdout", attached},
                   {"AttachStderr", attached}};
  if (!ports.empty()) out["ExposedPorts"] = std::move(ports);
  out["Tty"] = record.tty;
  out["OpenStdin"] = record.open_stdin;
  out["StdinOnce"] = record.stdin_once;
  out["Env"] = list(record.env);
  out["Cmd"] = null_if_empty(record.command);
  out["Image"] = text(record.image);
  out["Volumes"] = volumes.empty() ? json::value(nullptr) : json::value(std::move(volumes));
  out["WorkingDir"] = text(record.working_dir);
  out["Entrypoint"] = null_if_empty(record.entrypoint);
  out["OnBuild"] = nullptr;
  out["Labels"] = std::move(labels);
  out["StopSignal"] = text(record.stop_signal);
  out["StopTimeout"] = record.stop_timeout_s;
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

json::array devices_of(const containers::Record& record) {
  json::array out;
  for (const std::string& device : record.devices) {
    const auto parts = split(device, ':');
    const bool has_inside = parts.size() > 1 && parts[1].starts_with('/');
    const std::string_view rights = parts.size() > (has_inside ? 2 : 1) ? parts.back() : std::string_view("rwm");
    out.push_back(json::object{{"PathOnHost", text(parts[0])},
                               {"PathInContainer", text(has_inside ? parts[1] : parts[0])},
                               {"CgroupPermissions", text(rights)}});
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
    out[mount.destination] = text(options);
  }
  return out;
}

void add_limits(const containers::Record& record, json::object& out) {
  const auto& limits = record.limits;
  json::array ulimits;
  for (const auto& limit : record.ulimits)
    ulimits.push_back(json::object{{"Name", text(limit.name)}, {"Soft", static_cast<int64_t>(limit.soft)}, {"Hard", static_cast<int64_t>(limit.hard)}});
  out["CpuShares"] = limits.cpu_shares;
  out["Memory"] = limits.memory_bytes;
  out["NanoCpus"] = static_cast<int64_t>(std::llround(limits.cpus * 1e9));
  out["CgroupParent"] = text(record.cgroup_parent);
  out["BlkioWeight"] = limits.block_io_weight;
  out["CpuPeriod"] = 0;
  out["CpuQuota"] = 0;
  out["CpusetCpus"] = text(limits.cpuset_cpus);
  out["CpusetMems"] = text(limits.cpuset_mems);
  out["Devices"] = devices_of(record);
  out["MemoryReservation"] = limits.memory_reservation_bytes;
  // As docker: without a word of swap, as much swap as memory.
  out["MemorySwap"] = limits.memory_swap_bytes == 0 ? static_cast<int64_t>(limits.memory_bytes * 2) : limits.memory_swap_bytes;
  out["MemorySwappiness"] = nullptr;
  out["OomKillDisable"] = false;
  out["PidsLimit"] = limits.pids == 0 ? json::value(nullptr) : json::value(limits.pids);
  out["Ulimits"] = std::move(ulimits);
}

json::object host_config_of(const containers::Record& record) {
  json::object sysctls;
  for (const auto& [key, value] : record.sysctls) sysctls[key] = text(value);
  json::object log;
  if (record.log_max_bytes != 0) {
    log["max-size"] = text(fmt::format("{}", record.log_max_bytes));
    log["max-file"] = text(fmt::format("{}", record.log_max_files));
  }
  json::object out{
      {"Binds", binds_of(record)},
      {"ContainerIDFile", ""},
      {"LogConfig", json::object{{"Type", text(record.log_driver)}, {"Config", std::move(log)}}},
      {"NetworkMode", text(record.network)},
      {"PortBindings", port_bindings(record)},
      {"RestartPolicy", json::object{{"Name", text(record.restart.name)}, {"MaximumRetryCount", record.restart.maximum}}},
      {"AutoRemove", record.auto_remove},
      {"VolumeDriver", ""},
      {"VolumesFrom", nullptr},
      {"CapAdd", null_if_empty(record.capabilities_added)},
      {"CapDrop", null_if_empty(record.capabilities_dropped)},
      {"CgroupnsMode", text(record.cgroup_namespace.empty() ? "private" : record.cgroup_namespace)},
      {"Dns", list(record.dns_servers)},
      {"DnsOptions", list(record.dns_options)},
      {"DnsSearch", list(record.dns_search)},
      {"ExtraHosts", null_if_empty(record.extra_hosts)},
      {"GroupAdd", null_if_empty(record.groups)},
      {"IpcMode", text(record.ipc.empty() ? "private" : record.ipc)},
      {"Links", nullptr},
      {"OomScoreAdj", record.oom_score_adj},
      {"PidMode", text(record.pid)},
      {"Privileged", record.privileged},
      {"PublishAllPorts", record.publish_all},
      {"ReadonlyRootfs", record.read_only},
      {"SecurityOpt", null_if_empty(record.security_options)},
      {"UTSMode", text(record.uts)},
      {"UsernsMode", text(record.ids)},
      {"ShmSize", record.shm_bytes},
      {"Runtime", "kist"},
      {"Init", record.init ? json::value(true) : json::value(nullptr)}};
  if (!sysctls.empty()) out["Sysctls"] = std::move(sysctls);
  if (json::object tmpfs = tmpfs_of(record); !tmpfs.empty()) out["Tmpfs"] = std::move(tmpfs);
  add_limits(record, out);
  return out;
}

json::object graph_of(const Here& here, const containers::Record& record) {
  return {{"UpperDir", text(here.place.file_of(record.id, "upper"))}, {"WorkDir", text(here.place.file_of(record.id, "work"))}};
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
          {"ResolvConfPath", text(here.place.file_of(record.id, "resolv.conf"))},
          {"HostnamePath", text(here.place.file_of(record.id, "hostname"))},
          {"HostsPath", text(here.place.file_of(record.id, "hosts"))},
          {"LogPath", text(record.log_driver == "none" ? "" : here.place.file_of(record.id, "log"))},
          {"MountLabel", ""},
          {"ProcessLabel", ""},
          {"AppArmorProfile", ""},
          {"ExecIDs", nullptr},
          {"HostConfig", host_config_of(record)},
          {"GraphDriver", json::object{{"Data", graph_of(here, record)}, {"Name", "overlay"}}},
          {"Mounts", mounts_of(here, record)},
          {"Config", config_of(record)},
          {"NetworkSettings", network_settings(here, record, status)}};
}

}  // namespace

Result<json::object> inspected_container(const Here& here, const std::string& name, bool with_size) {
  const auto record = TRY(here.record(name));
  const auto status = TRY(here.place.status(record.id));
  json::object out = describe(here, record, status);
  if (!with_size) return out;
  const Sizes sizes = sizes_of(here, record);
  out["SizeRw"] = sizes.written;
  out["SizeRootFs"] = sizes.written + sizes.image;
  return out;
}

Result<int> inspect_all(const cli::Parsed& parsed, const Here& here,
                        const std::function<Result<json::object>(const std::string& name)>& look) {
  json::array all;
  std::vector<Error> missing;
  for (const std::string& name : parsed.positionals()) {
    auto found = look(name);
    if (found) all.push_back(std::move(*found));
    else missing.push_back(std::move(found).error());
  }
  TRY(print_inspected(all, parsed.value("--format"), here.terminal));
  for (const Error& error : missing) here.terminal.error(error);
  return missing.empty() ? 0 : 1;
}

Result<int> inspect_verb(const cli::Parsed& parsed, const Here& here) {
  const std::string type = parsed.value("--type");
  return inspect_all(parsed, here, [&](const std::string& name) {
    if (type == "network") return inspected_network(here, name);
    if (type == "volume") return inspected_volume(here, name);
    return inspected_container(here, name, parsed.has("--size"));
  });
}

bool inspects_images(const cli::Parsed& parsed, const launch::Host& host) {
  const std::string type = parsed.value("--type");
  if (type == "container" || type == "network" || type == "volume") return false;
  const containers::Place place(host.kist_home);
  const auto& names = parsed.positionals();
  return !type.empty() || !std::all_of(names.begin(), names.end(), [&](const auto& name) { return place.find(name).has_value(); });
}

}  // namespace kist::container_cli

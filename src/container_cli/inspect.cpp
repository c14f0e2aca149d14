// kist inspect
#include <boost/json.hpp>
#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "container_cli/container_cli.h"
#include "container_cli/host_config_json.h"
#include "container_cli/inspected.h"
#include "container_cli/network_json.h"
#include "container_cli/table.h"
#include "container_cli/verb.h"
#include "containers/health.h"

namespace kist::container_cli {
namespace {

namespace json = boost::json;

// docker's zero time for what has not happened.
json::string moment(int64_t ns) {
  if (ns == 0) return "0001-01-01T00:00:00Z";
  const time_t seconds = ns / 1'000'000'000;
  tm parts = {};
  ::gmtime_r(&seconds, &parts);
  char buffer[64];
  const size_t size = ::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%S", &parts);
  return json_text(fmt::format("{}.{:09}Z", std::string_view(buffer, size), ns % 1'000'000'000));
}

json::object state_of(const Here& here, const containers::Status& status) {
  json::object out{{"Status", json_text(name_of(status.phase))},
                   {"Running", status.phase == containers::Phase::running || status.phase == containers::Phase::paused},
                   {"Paused", status.phase == containers::Phase::paused},
                   {"Restarting", status.phase == containers::Phase::restarting},
                   {"OOMKilled", status.out_of_memory},
                   {"Dead", status.phase == containers::Phase::dead},
                   {"Pid", status.pid},
                   {"ExitCode", status.exit_code},
                   {"Error", json_text(status.error)},
                   {"StartedAt", moment(status.started_ns)},
                   {"FinishedAt", moment(status.finished_ns)}};
  if (!status.health.empty()) {
    json::array log;
    for (const auto& probe : containers::read_probes(here.place, status.id))
      log.push_back(json::object{{"Start", moment(probe.start_ns)}, {"End", moment(probe.end_ns)},
                                 {"ExitCode", probe.exit_code}, {"Output", json_text(probe.output)}});
    out["Health"] = json::object{{"Status", json_text(status.health)}, {"FailingStreak", status.health_failures}, {"Log", std::move(log)}};
  }
  if (status.memory_peak_bytes != 0) out["MemoryPeakBytes"] = status.memory_peak_bytes;
  return out;
}

json::array mounts_of(const Here& here, const containers::Record& record) {
  json::array out;
  for (const auto& mount : record.mounts) {
    json::object one{{"Type", json_text(mount.type)}};
    std::string source = mount.source;
    const std::string_view mode = mount.read_only ? "ro" : mount.type == "volume" ? "z" : "";
    if (mount.type == "volume") {
      const auto volume = here.volumes.find(mount.source);
      source = volume ? here.volumes.data_path(*volume) : "";
      one["Name"] = json_text(mount.source);
      one["Driver"] = json_text(volume ? volume->driver : "local");
    }
    one["Source"] = json_text(source);
    one["Destination"] = json_text(mount.destination);
    one["Mode"] = json_text(mode);
    one["RW"] = !mount.read_only;
    one["Propagation"] = json_text(mount.type == "bind" && mount.propagation.empty() ? "rprivate" : mount.propagation);
    out.push_back(std::move(one));
  }
  return out;
}

// As docker: what nobody asked for is left out.
json::object health_json(const containers::HealthCheck& health) {
  json::object out{{"Test", json_list(health.test)}};
  const auto add = [&](const char* name, int64_t value) {
    if (value != 0) out[name] = value;
  };
  add("Interval", health.interval_ns);
  add("Timeout", health.timeout_ns);
  add("StartPeriod", health.start_period_ns);
  add("StartInterval", health.start_interval_ns);
  add("Retries", static_cast<int64_t>(health.retries));
  return out;
}

json::object config_of(const containers::Record& record) {
  json::object labels;
  for (const auto& [key, value] : record.labels) labels[key] = json_text(value);
  json::object ports;
  for (const std::string& port : record.exposed_ports) ports[port] = json::object();
  json::object volumes;
  for (const auto& mount : record.mounts)
    if (mount.type == "volume") volumes[mount.destination] = json::object();
  const bool attached = !record.open_stdin || record.stdin_once;
  json::object out{{"Hostname", json_text(record.hostname)},
                   {"Domainname", json_text(record.domain_name)},
                   {"User", json_text(record.user)},
                   {"AttachStdin", record.stdin_once},
                   {"AttachStdout", attached},
                   {"AttachStderr", attached}};
  if (!ports.empty()) out["ExposedPorts"] = std::move(ports);
  out["Tty"] = record.tty;
  out["OpenStdin"] = record.open_stdin;
  out["StdinOnce"] = record.stdin_once;
  out["Env"] = json_list(record.env);
  out["Cmd"] = null_if_empty(record.command);
  out["Image"] = json_text(record.image);
  out["Volumes"] = volumes.empty() ? json::value(nullptr) : json::value(std::move(volumes));
  out["WorkingDir"] = json_text(record.working_dir);
  out["Entrypoint"] = null_if_empty(record.entrypoint);
  out["OnBuild"] = nullptr;
  out["Labels"] = std::move(labels);
  out["StopSignal"] = json_text(record.stop_signal);
  out["StopTimeout"] = record.stop_timeout_s;
  if (!record.health.test.empty()) out["Healthcheck"] = health_json(record.health);
  return out;
}

json::object graph_of(const Here& here, const containers::Record& record) {
  return {{"UpperDir", json_text(here.place.file_of(record.id, "upper"))}, {"WorkDir", json_text(here.place.file_of(record.id, "work"))}};
}

json::object describe(const Here& here, const containers::Record& record, const containers::Status& status) {
  const auto args = record.args();
  return {{"Id", json_text(record.id)},
          {"Created", moment(record.created_ns)},
          {"Path", json_text(args.empty() ? "" : args[0])},
          {"Args", json_list(args.empty() ? args : std::vector<std::string>(args.begin() + 1, args.end()))},
          {"State", state_of(here, status)},
          {"Image", json_text(record.image_id)},
          {"Name", json_text("/" + record.name)},
          {"RestartCount", status.restart_count},
          {"Driver", "kist"},
          {"Platform", "linux"},
          {"ResolvConfPath", json_text(here.place.file_of(record.id, "resolv.conf"))},
          {"HostnamePath", json_text(here.place.file_of(record.id, "hostname"))},
          {"HostsPath", json_text(here.place.file_of(record.id, "hosts"))},
          {"LogPath", json_text(record.log_driver == "none" ? "" : here.place.file_of(record.id, "log"))},
          {"MountLabel", ""},
          {"ProcessLabel", ""},
          {"AppArmorProfile", ""},
          {"ExecIDs", nullptr},
          {"HostConfig", host_config_of(here, record)},
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

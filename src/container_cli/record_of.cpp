#include "container_cli/record_of.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <ctime>
#include <limits>

#include "base/text.h"
#include "bundle/seccomp_profile.h"
#include "cli/run_args.h"
#include "container_cli/health_of.h"
#include "container_cli/network_flags.h"
#include "container_cli/numbers.h"
#include "containers/id_maps.h"
#include "containers/log_reader.h"
#include "containers/place.h"
#include "containers/resources_of.h"
#include "containers/spec_of.h"
#include "os/files.h"

namespace kist::container_cli {
namespace {

using cli::Parsed;
using containers::Record;
using launch::Host;

Result<std::pair<std::string, std::string>> key_value(const std::string& text, std::string_view flag) {
  const size_t equals = std::min(text.find('='), text.size());
  if (equals == 0) return Error(Code::invalid, "{}: '{}' has no name before '='", flag, printable(text));
  return std::pair(text.substr(0, equals), equals < text.size() ? text.substr(equals + 1) : std::string());
}

void set_variable(std::vector<std::string>& env, const std::string& variable) {
  const std::string name = variable.substr(0, variable.find('=') + 1);
  std::erase_if(env, [&](const std::string& old) { return old.starts_with(name); });
  env.push_back(variable);
}

// podman's words for what of the image's and the host's variables it has; -e adds to that.
void choose_variables(const Parsed& parsed, const Host& host, Record& record) {
  if (parsed.has("--unsetenv-all")) record.env.clear();
  if (parsed.has("--env-host"))
    for (const auto& [name, value] : host.variables) set_variable(record.env, name + "=" + value);
  for (const std::string& name : parsed.values("--unsetenv"))
    std::erase_if(record.env, [&](const std::string& one) { return one.starts_with(name + "="); });
}

Result<void> read_variables(const Parsed& parsed, const Host& host, Record& record) {
  choose_variables(parsed, host, record);
  for (const std::string& path : parsed.values("--env-file")) {
    const std::string text = TRY(os::read_file(path, 1 << 20), "--env-file");
    const auto variables = TRY(cli::parse_env_file(text, path, host));
    for (const std::string& variable : variables) set_variable(record.env, variable);
  }
  for (const char* flag : {"--env", "--variable"}) {
    for (const std::string& text : parsed.values(flag)) {
      const auto found = host.variables.find(text);
      if (text.empty() || text[0] == '=')
        return Error(Code::invalid, "-e: '{}' is not a variable's name", printable(text));
      if (text.find('=') != std::string::npos) set_variable(record.env, text);
      else if (found != host.variables.end()) set_variable(record.env, text + "=" + found->second);
    }
  }
  return {};
}

// "nofile=1024:2048"
Result<containers::UlimitRequest> parse_ulimit(const std::string& text) {
  auto [name, values] = TRY(key_value(text, "--ulimit"));
  if (values.empty()) return Error(Code::invalid, "--ulimit: '{}' is not NAME=SOFT[:HARD]", printable(text));
  TRY(containers::ulimit_number(name), "--ulimit {}", printable(text));
  const auto parts = split(values, ':');
  const auto number = [&](std::string_view part) -> Result<uint64_t> {
    if (part == "-1" || part == "unlimited") return std::numeric_limits<uint64_t>::max();
    const int64_t value = TRY(whole_number(part, "--ulimit", 0, std::numeric_limits<int64_t>::max()));
    return static_cast<uint64_t>(value);
  };
  containers::UlimitRequest out;
  out.name = name;
  out.soft = TRY(number(parts[0]));
  out.hard = TRY(number(parts.back()));
  if (out.soft > out.hard)
    return Error(Code::invalid, "--ulimit {}: the soft limit is above the hard one", printable(text));
  return out;
}

// The file's content, as docker keeps it too: the container does not change with the file.
Result<std::string> seccomp_option(const std::string& option) {
  const std::string path = option.substr(std::string_view("seccomp=").size());
  std::string profile = TRY(os::read_file(path, bundle::kMaxProfileBytes), "--security-opt seccomp");
  for (const uint64_t capabilities : {uint64_t{0}, ~uint64_t{0}})
    TRY(bundle::read_seccomp_profile(profile, capabilities), "--security-opt seccomp='{}'", printable(path));
  return "seccomp=" + profile;
}

// As docker keeps them: "ALL", "CAP_NET_ADMIN".
Result<std::vector<std::string>> capabilities_of(const Parsed& parsed, const char* flag) {
  std::vector<std::string> out;
  for (const std::string& name : parsed.values(flag)) {
    const std::string lower = to_lower(name);
    if (lower != "all") TRY(containers::capability_number(name));
    std::string kept = lower == "all" || lower.starts_with("cap_") ? lower : "cap_" + lower;
    std::transform(kept.begin(), kept.end(), kept.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    out.push_back(std::move(kept));
  }
  return out;
}

Result<void> read_security(const Parsed& parsed, Record& record) {
  record.privileged = parsed.has("--privileged");
  record.capabilities_added = TRY(capabilities_of(parsed, "--cap-add"));
  record.capabilities_dropped = TRY(capabilities_of(parsed, "--cap-drop"));
  for (const std::string& option : parsed.values("--security-opt")) {
    constexpr std::string_view kKnown[] = {"no-new-privileges", "no-new-privileges:true", "no-new-privileges:false",
                                           "no-new-privileges=true", "no-new-privileges=false", "seccomp=unconfined", "seccomp=builtin",
                                           "label=disable", "label:disable", "systempaths=unconfined"};
    const bool known = std::find(std::begin(kKnown), std::end(kKnown), option) != std::end(kKnown);
    if (!known && option.starts_with("seccomp=")) {
      std::string with_profile = TRY(seccomp_option(option));
      record.security_options.push_back(std::move(with_profile));
      continue;
    }
    constexpr std::string_view kAppArmor = "apparmor=";
    const bool profile = option.starts_with(kAppArmor) && option.size() > kAppArmor.size();
    if (!known && !profile)
      return Error(Code::unsupported, "--security-opt: '{}' is not supported", printable(option))
          .hint("no-new-privileges, seccomp=FILE, seccomp=unconfined, apparmor=PROFILE and "
                "systempaths=unconfined are");
    record.security_options.push_back(option == "no-new-privileges=true" ? "no-new-privileges" : option);
  }
  for (const std::string& text : parsed.values("--ulimit")) {
    const auto limit = TRY(parse_ulimit(text));
    record.ulimits.push_back(limit);
  }
  for (const std::string& device : parsed.values("--device")) {
    const std::string_view last = std::string_view(device).substr(device.rfind(':') + 1);
    if (device.find(':') != std::string::npos && !last.starts_with('/') &&
        (last.empty() || last.find_first_not_of("rwm") != std::string_view::npos))
      return Error(Code::invalid, "--device: '{}' has bad rights '{}', want some of rwm", printable(device), printable(last));
    record.devices.push_back(device);
  }
  for (const std::string& rule : parsed.values("--device-cgroup-rule")) {
    TRY(containers::parse_device_rule(rule), "--device-cgroup-rule");
    record.device_rules.push_back(rule);
  }
  if (!record.device_rules.empty() && ::geteuid() != 0)
    return Error(Code::denied, "--device-cgroup-rule: only root's containers have rules for devices")
        .hint("`--device /dev/…` shows a device that you may use");
  return {};
}

Result<std::string> one_of(const Parsed& parsed, const char* flag, std::initializer_list<std::string_view> words,
                           std::string_view otherwise) {
  const std::string value = parsed.value(flag, otherwise);
  if (std::find(words.begin(), words.end(), value) != words.end()) return value;
  std::vector<std::string_view> named(words);
  std::erase(named, "");
  return Error(Code::invalid, "{}: '{}' is not one of {}", flag, printable(value), fmt::join(named, ", "));
}

// podman's words, and what of them kist can mean. docker has "host" alone.
Result<std::string> wanted_ids(const Parsed& parsed, Record& record) {
  const std::string ids = TRY(one_of(parsed, "--ids", {"", "single", "range", "auto"}, ""));
  const std::string users = TRY(one_of(parsed, "--userns", {"", "host", "keep-id", "private", "auto"}, ""));
  if (users.empty()) return ids;
  if (!ids.empty()) return Error(Code::invalid, "--ids and --userns say the same: give one of them");
  if (users == "host") {
    if (::geteuid() == 0) return ids;
    return Error(Code::unsupported, "--userns host: only root can make containers without a user namespace")
        .hint("`--userns keep-id` keeps your own id inside");
  }
  if (::geteuid() == 0)
    return Error(Code::unsupported, "--userns {}: root's containers have the ids of the host", users)
        .hint("run it as a plain user, or `--user UID` to be somebody else inside");
  if (users == "keep-id" && !parsed.has("--user")) record.user = fmt::format("{}:{}", ::geteuid(), ::getegid());
  return std::string(users == "keep-id" ? "single" : "auto");
}

// A folder's path, or a slice of systemd's by its name.
Result<std::string> wanted_parent(const Parsed& parsed) {
  std::string parent = parsed.value("--cgroup-parent");
  constexpr std::string_view kSlice = ".slice";
  for (const std::string_view part : split(parent, '/'))
    if (part == "..") return Error(Code::invalid, "--cgroup-parent: '{}' has '..' in it", printable(parent));
  if (!parent.ends_with(kSlice) || parent.find('/') != std::string::npos) return parent;
  const std::string_view name = std::string_view(parent).substr(0, parent.size() - kSlice.size());
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@\\";
  const bool edges = name.starts_with('-') || name.ends_with('-') || name.find("--") != std::string_view::npos;
  if (name.empty() || edges || name.find_first_not_of(kPlain) != std::string_view::npos)
    return Error(Code::invalid, "--cgroup-parent: '{}' is no name of a slice, want one as jobs.slice or jobs-night.slice", printable(parent));
  return parent;
}

// One of the words, or another container's: "container:NAME", kept by its id.
Result<std::string> wanted_namespace(const Parsed& parsed, const char* flag, std::initializer_list<std::string_view> words,
                                     const Host& host) {
  const std::string value = parsed.value(flag);
  if (!value.starts_with(containers::kOfContainer)) return one_of(parsed, flag, words, "");
  const auto id = TRY(containers::Place(host.kist_home).find(value.substr(containers::kOfContainer.size())), "{} {}", flag, printable(value));
  return std::string(containers::kOfContainer) + id;
}

Result<void> read_namespaces(const Parsed& parsed, const Host& host, Record& record) {
  record.ipc = TRY(wanted_namespace(parsed, "--ipc", {"", "private", "shareable", "host", "none"}, host));
  record.pid = TRY(wanted_namespace(parsed, "--pid", {"", "private", "host"}, host));
  record.uts = TRY(one_of(parsed, "--uts", {"", "private", "host"}, ""));
  if (record.uts == "host" && parsed.has("--hostname"))
    return Error(Code::invalid, "conflicting options: --hostname and --uts host");
  record.cgroup_namespace = TRY(one_of(parsed, "--cgroupns", {"", "private", "host"}, ""));
  const std::string ids = TRY(wanted_ids(parsed, record));
  if (::geteuid() == 0 && ids == "range")
    return Error(Code::invalid, "--ids range: root has all ids").hint("leave it out, or run as a plain user");
  if (::geteuid() != 0) record.ids = containers::chosen_ids(ids.empty() ? "single" : ids, ::geteuid(), ::getegid());
  if (record.ids == "range") TRY(containers::id_range(::geteuid(), ::getegid()));
  record.cgroup_parent = TRY(wanted_parent(parsed));
  for (const std::string& text : parsed.values("--sysctl")) {
    const auto [key, value] = TRY(key_value(text, "--sysctl"));
    record.sysctls.emplace(key, value);
  }
  return {};
}

Result<void> read_log(const Parsed& parsed, Record& record) {
  const std::string driver = parsed.value("--log-driver", "k8s-file");
  if (driver != "k8s-file" && driver != "none" && driver != "json-file" && driver != "local")
    return Error(Code::unsupported, "--log-driver: '{}' is not supported, want k8s-file or none", printable(driver));
  record.log_driver = driver == "none" ? "none" : "k8s-file";
  for (const std::string& text : parsed.values("--log-opt")) {
    const auto [key, value] = TRY(key_value(text, "--log-opt"));
    if (key == "max-size") record.log_max_bytes = TRY(launch::parse_size(value), "--log-opt {}", printable(text));
    else if (key == "max-file") record.log_max_files = TRY(count(value, "--log-opt max-file", 1, 1000));
    else return Error(Code::invalid, "--log-opt: '{}' is neither max-size nor max-file", printable(key));
  }
  return {};
}

Result<void> read_life(const Parsed& parsed, const launch::ReadyImage& image, Record& record) {
  record.auto_remove = parsed.has("--rm");
  record.restart = TRY(parse_restart(parsed.value("--restart", "no")));
  if (record.auto_remove && record.restart.name != "no")
    return Error(Code::invalid, "conflicting options: cannot specify both --restart and --rm");
  record.stop_signal = parsed.value("--stop-signal", image.stop_signal.empty() ? "SIGTERM" : image.stop_signal);
  TRY(containers::signal_number(record.stop_signal), "--stop-signal");
  record.stop_timeout_s = TRY(whole_number(parsed.value("--stop-timeout", "10"), "--stop-timeout", -1, 1'000'000));
  record.oom_score_adj = TRY(whole_number(parsed.value("--oom-score-adj", "0"), "--oom-score-adj", -1000, 1000));
  record.health = TRY(health_of(parsed, image));
  return {};
}

Result<int64_t> parse_umask(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > 0777)
    return Error(Code::invalid, "--umask: '{}' is no mode, want one from 0000 to 0777", printable(text));
  return value;
}

Result<void> check_zone(const std::string& zone) {
  const std::string file = containers::zone_file(zone);
  const bool leaves = zone.find("..") != std::string::npos || zone.starts_with('/');
  if (!leaves && os::exists(file) && !os::is_folder(file)) return {};
  return Error(Code::not_found, "--tz: there is no time zone '{}' on this host ({})", printable(zone), printable(file))
      .hint("`ls /usr/share/zoneinfo` lists them; they come with the package tzdata");
}

// A program, or as podman has it a list in JSON: '["sh", "-c"]'.
std::vector<std::string> entrypoint_of(const std::string& text) {
  if (text.empty()) return {};
  boost::system::error_code failed;
  const boost::json::value json = text[0] == '[' ? boost::json::parse(text, failed) : boost::json::value();
  std::vector<std::string> out;
  if (!failed && json.is_array())
    for (const boost::json::value& word : json.get_array())
      if (word.is_string()) out.emplace_back(word.get_string());
  if (out.empty() || out.size() != json.get_array().size()) return {text};
  return out;
}

Result<void> read_command(const Parsed& parsed, const launch::ReadyImage& image, Record& record) {
  record.entrypoint = image.entrypoint;
  record.command = image.cmd;
  if (parsed.has("--entrypoint")) {
    record.entrypoint = entrypoint_of(parsed.value("--entrypoint"));
    record.command.clear();
  }
  if (!parsed.positionals().empty()) record.command = parsed.positionals();
  if (record.args().empty())
    return Error(Code::invalid, "the image '{}' has no command of its own", printable(record.image))
        .hint(fmt::format("name one: `kist run --image {} sh`", shell_quote(record.image)));
  record.user = parsed.value("--user", image.user);
  if (parsed.has("--root")) record.user = "0";
  record.groups = parsed.values("--group-add");
  if (parsed.has("--umask")) record.umask = TRY(parse_umask(parsed.value("--umask")));
  record.time_zone = parsed.value("--tz");
  if (!record.time_zone.empty()) TRY(check_zone(record.time_zone));
  record.working_dir = parsed.value("--workdir", image.working_dir.empty() ? "/" : image.working_dir);
  if (!record.working_dir.starts_with('/'))
    return Error(Code::invalid, "--workdir: '{}' is not an absolute path", printable(record.working_dir));
  return {};
}

Result<void> read_labels(const Parsed& parsed, const launch::ReadyImage& image, Record& record) {
  for (const auto& [key, value] : image.labels) record.labels[key] = value;
  std::vector<std::string> texts;
  for (const std::string& path : parsed.values("--label-file")) {
    const std::string text = TRY(os::read_file(path, 1 << 20), "--label-file");
    for (const std::string_view line : lines(text))
      if (!trim(line).empty() && trim(line)[0] != '#') texts.emplace_back(trim(line));
  }
  const auto& given = parsed.values("--label");
  texts.insert(texts.end(), given.begin(), given.end());
  for (const std::string& text : texts) {
    const auto [key, value] = TRY(key_value(text, "--label"));
    record.labels[key] = value;
  }
  for (const std::string& text : parsed.values("--annotation")) {
    const auto [key, value] = TRY(key_value(text, "--annotation"));
    record.annotations[key] = value;
  }
  return {};
}

}  // namespace

Result<containers::RestartPolicy> parse_restart(std::string_view text) {
  const size_t colon = std::min(text.find(':'), text.size());
  containers::RestartPolicy out;
  out.name = std::string(text.substr(0, colon));
  const bool known = out.name == "no" || out.name == "always" || out.name == "unless-stopped" || out.name == "on-failure";
  if (!known || (colon < text.size() && out.name != "on-failure"))
    return Error(Code::invalid, "--restart: '{}' is not one of no, on-failure[:N], always, unless-stopped", printable(text));
  if (colon < text.size())
    out.maximum = TRY(count(text.substr(colon + 1), "--restart on-failure", 1, 1'000'000'000));
  return out;
}

Result<Record> record_of(const Parsed& parsed, const launch::ReadyImage& image, const Host& host, std::string* warning) {
  Record record;
  record.image = parsed.value("--image");
  record.image_id = image.id;
  record.id = TRY(containers::new_id());
  record.name = parsed.value("--name");
  // As `inspect` shows it.
  if (record.name.starts_with('/')) record.name.erase(0, 1);
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  record.created_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  record.env = image.env;
  record.exposed_ports = image.exposed_ports;
  record.tty = parsed.has("--tty");
  record.open_stdin = parsed.has("--interactive");
  record.stdin_once = record.open_stdin && !parsed.has("--detach");
  record.read_only = parsed.has("--read-only");
  record.init = parsed.has("--init");
  record.domain_name = parsed.value("--domainname");
  if (parsed.has("--shm-size")) record.shm_bytes = TRY(launch::parse_size(parsed.value("--shm-size")), "--shm-size");
  TRY(read_command(parsed, image, record));
  TRY(read_variables(parsed, host, record));
  TRY(read_security(parsed, record));
  TRY(read_namespaces(parsed, host, record));
  std::string ignored;
  TRY(read_network(parsed, host, ::geteuid() == 0, record, warning == nullptr ? ignored : *warning));
  TRY(read_log(parsed, record));
  TRY(read_life(parsed, image, record));
  TRY(read_limits(parsed, record.limits));
  record.best_effort = parsed.has("--best-effort");
  if (record.limits.oom_kill_disable && record.limits.memory_bytes == 0 && warning != nullptr)
    *warning = "--oom-kill-disable without --memory: one that takes all of the host's memory will not be killed";
  TRY(read_labels(parsed, image, record));
  record.hostname = parsed.value("--hostname", record.uts == "host" || record.network == "host" ? "" : record.short_id());
  return record;
}

}  // namespace kist::container_cli

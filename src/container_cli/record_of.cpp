#include "container_cli/record_of.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <limits>

#include "base/text.h"
#include "bundle/seccomp_profile.h"
#include "cli/run_args.h"
#include "container_cli/health_of.h"
#include "container_cli/network_flags.h"
#include "containers/id_maps.h"
#include "containers/log_reader.h"
#include "containers/place.h"
#include "containers/spec_of.h"
#include "os/files.h"

namespace kist::container_cli {
namespace {

using cli::Parsed;
using containers::Record;
using launch::Host;

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

Result<void> read_variables(const Parsed& parsed, const Host& host, Record& record) {
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

Result<void> read_security(const Parsed& parsed, Record& record) {
  record.privileged = parsed.has("--privileged");
  record.capabilities_added = parsed.values("--cap-add");
  record.capabilities_dropped = parsed.values("--cap-drop");
  for (const auto* list : {&record.capabilities_added, &record.capabilities_dropped})
    for (const std::string& name : *list)
      if (to_lower(name) != "all") TRY(containers::capability_number(name));
  for (const std::string& option : parsed.values("--security-opt")) {
    constexpr std::string_view kKnown[] = {"no-new-privileges", "no-new-privileges:true", "no-new-privileges:false",
                                           "no-new-privileges=true", "seccomp=unconfined", "seccomp=builtin",
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

Result<void> read_namespaces(const Parsed& parsed, Record& record) {
  record.ipc = TRY(one_of(parsed, "--ipc", {"", "private", "shareable", "host", "none"}, ""));
  record.pid = TRY(one_of(parsed, "--pid", {"", "private", "host"}, ""));
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

Result<void> read_command(const Parsed& parsed, const launch::ReadyImage& image, Record& record) {
  record.entrypoint = image.entrypoint;
  record.command = image.cmd;
  if (parsed.has("--entrypoint")) {
    const std::string entrypoint = parsed.value("--entrypoint");
    record.entrypoint.clear();
    if (!entrypoint.empty()) record.entrypoint.push_back(entrypoint);
    record.command.clear();
  }
  if (!parsed.positionals().empty()) record.command = parsed.positionals();
  if (record.args().empty())
    return Error(Code::invalid, "the image '{}' has no command of its own", printable(record.image))
        .hint(fmt::format("name one: `kist run --image {} sh`", shell_quote(record.image)));
  record.user = parsed.value("--user", image.user);
  if (parsed.has("--root")) record.user = "0";
  record.groups = parsed.values("--group-add");
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

Result<void> read_limits(const Parsed& parsed, containers::LimitRequest& limits) {
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
  if (parsed.has("--memory-reservation"))
    limits.memory_reservation_bytes = TRY(launch::parse_size(parsed.value("--memory-reservation")), "--memory-reservation");
  if (limits.memory_bytes != 0 && limits.memory_reservation_bytes > limits.memory_bytes)
    return Error(Code::invalid, "--memory-reservation cannot be more than --memory");
  if (parsed.has("--cpus")) {
    const std::string text = parsed.value("--cpus");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limits.cpus);
    if (error != std::errc() || end != text.data() + text.size() || limits.cpus < 0.01 || limits.cpus > 1e5)
      return Error(Code::invalid, "--cpus: '{}' is not a number of processors, for example 1.5", printable(text));
  }
  if (parsed.has("--cpu-quota")) {
    if (parsed.has("--cpus")) return Error(Code::invalid, "--cpus and --cpu-quota say the same: give one of them");
    const uint64_t period = TRY(count(parsed.value("--cpu-period", "100000"), "--cpu-period", 1000, 1'000'000));
    const int64_t quota = TRY(whole_number(parsed.value("--cpu-quota"), "--cpu-quota", -1, 1'000'000'000'000));
    if (quota > 0 && quota < 1000) return Error(Code::invalid, "--cpu-quota: {} is less than the least, 1000", quota);
    limits.cpus = quota <= 0 ? 0 : static_cast<double>(quota) / static_cast<double>(period);
  }
  if (parsed.has("--cpu-shares"))
    limits.cpu_shares = TRY(count(parsed.value("--cpu-shares"), "--cpu-shares", 2, 262144));
  limits.cpuset_cpus = parsed.value("--cpuset-cpus", limits.cpuset_cpus);
  limits.cpuset_mems = parsed.value("--cpuset-mems", limits.cpuset_mems);
  if (parsed.has("--pids-limit"))
    limits.pids = TRY(whole_number(parsed.value("--pids-limit"), "--pids-limit", -1, 4'194'304));
  if (parsed.has("--blkio-weight"))
    limits.block_io_weight = TRY(count(parsed.value("--blkio-weight"), "--blkio-weight", 10, 1000));
  return {};
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
  TRY(read_namespaces(parsed, record));
  std::string ignored;
  TRY(read_network(parsed, ::geteuid() == 0, record, warning == nullptr ? ignored : *warning));
  TRY(read_log(parsed, record));
  TRY(read_life(parsed, image, record));
  TRY(read_limits(parsed, record.limits));
  TRY(read_labels(parsed, image, record));
  record.hostname = parsed.value("--hostname", record.uts == "host" || record.network == "host" ? "" : record.short_id());
  return record;
}

}  // namespace kist::container_cli

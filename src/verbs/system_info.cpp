// kist info, kist version: what scripts ask `docker info` and `docker version` for.
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "container_cli/table.h"
#include "container_cli/verb.h"
#include "images/image_store.h"
#include "os/files.h"
#include "verbs/prune.h"

namespace kist::verbs {
namespace {

namespace json = boost::json;

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

utsname machine_name() {
  utsname out = {};
  ::uname(&out);
  return out;
}

// "Debian GNU/Linux 12 (bookworm)"
std::string system_name() {
  const std::string release = os::read_file("/etc/os-release", 64 << 10).value_or("");
  for (std::string_view line : lines(release)) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    line.remove_prefix(std::string_view("PRETTY_NAME=").size());
    if (line.size() > 1 && line.front() == '"') line = line.substr(1, line.size() - 2);
    return printable(line);
  }
  return "Linux";
}

const char* architecture_of(std::string_view machine) {
  return machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : "unknown";
}

Result<json::object> info_of(const environment::Context& context, cli::Terminal& terminal) {
  const container_cli::Here here = container_cli::here_of(context.host, terminal);
  int64_t running = 0, paused = 0, stopped = 0;
  const auto ids = TRY(here.place.ids());
  for (const std::string& id : ids) {
    const auto status = here.place.status(id);
    if (!status) continue;
    ++(status->phase == containers::Phase::paused ? paused : status->is_alive() ? running : stopped);
  }
  const auto all = TRY(images::ImageStore(context.store).list());
  const utsname name = machine_name();
  json::array security{"name=seccomp,profile=builtin"};
  if (::geteuid() != 0) security.push_back("name=rootless");
  return json::object{
      {"ID", text(name.nodename)},
      {"Containers", running + paused + stopped},
      {"ContainersRunning", running},
      {"ContainersPaused", paused},
      {"ContainersStopped", stopped},
      {"Images", all.size()},
      {"Driver", "overlay"},
      {"LoggingDriver", "k8s-file"},
      {"CgroupDriver", "cgroupfs"},
      {"CgroupVersion", containers::has_unified_cgroups() ? "2" : "1"},
      {"KernelVersion", text(name.release)},
      {"OperatingSystem", text(system_name())},
      {"OSType", "linux"},
      {"Architecture", text(name.machine)},
      {"NCPU", static_cast<int64_t>(::sysconf(_SC_NPROCESSORS_ONLN))},
      {"MemTotal", static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE)},
      {"DockerRootDir", text(context.host.kist_home)},
      {"Name", text(name.nodename)},
      {"ServerVersion", KIST_VERSION},
      {"DefaultRuntime", "kist"},
      {"Runtimes", json::object{{"kist", json::object{{"path", "kist runtime"}}}}},
      {"SecurityOptions", std::move(security)},
      {"LiveRestoreEnabled", true},
      {"Plugins", json::object{{"Volume", json::array{"local", "tmpfs"}}, {"Network", json::array{"bridge", "host", "null"}},
                               {"Log", json::array{"k8s-file", "none"}}}},
      {"Warnings", nullptr}};
}

// As docker lists it, one thing a line; what has parts is left to --format.
std::string lines_of(const json::object& info) {
  constexpr std::pair<std::string_view, std::string_view> kLines[] = {
      {"Containers", "Containers"},         {" Running", "ContainersRunning"}, {" Paused", "ContainersPaused"},
      {" Stopped", "ContainersStopped"},    {"Images", "Images"},              {"Server Version", "ServerVersion"},
      {"Storage Driver", "Driver"},         {"Logging Driver", "LoggingDriver"}, {"Cgroup Driver", "CgroupDriver"},
      {"Cgroup Version", "CgroupVersion"},  {"Default Runtime", "DefaultRuntime"}, {"Kernel Version", "KernelVersion"},
      {"Operating System", "OperatingSystem"}, {"OSType", "OSType"},           {"Architecture", "Architecture"},
      {"CPUs", "NCPU"},                     {"Total Memory", "MemTotal"},      {"Name", "Name"},
      {"Kist Home", "DockerRootDir"}};
  std::string out;
  for (const auto& [title, field] : kLines) {
    const json::value& value = info.at(field);
    out += fmt::format("{}: {}\n", title,
                       field == "MemTotal" ? container_cli::binary_bytes(static_cast<uint64_t>(value.as_int64()))
                                           : format::text_of(value));
  }
  return out;
}

}  // namespace

Result<int> system_info(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  json::object info = TRY(info_of(context, terminal));
  if (!parsed.has("--format")) {
    terminal.text(lines_of(info));
    return 0;
  }
  const std::string shape = parsed.value("--format");
  TRY(container_cli::print_inspected(json::array{std::move(info)}, shape == "json" ? "{{json .}}" : shape, terminal));
  return 0;
}

Result<int> version_of(const cli::Parsed& parsed, cli::Terminal& terminal) {
  const utsname name = machine_name();
  const json::object one{{"Version", KIST_VERSION},
                         {"APIVersion", "1.41"},
                         {"Os", "linux"},
                         {"Arch", architecture_of(name.machine)},
                         {"KernelVersion", text(name.release)}};
  const std::string shape = parsed.value("--format");
  if (shape.empty()) {
    terminal.line("kist " KIST_VERSION);
    return 0;
  }
  // Nothing runs that could be another version than this program.
  TRY(container_cli::print_inspected(json::array{json::object{{"Client", one}, {"Server", one}, {"Version", KIST_VERSION}}},
                                     shape == "json" ? "{{json .}}" : shape, terminal));
  return 0;
}

}  // namespace kist::verbs

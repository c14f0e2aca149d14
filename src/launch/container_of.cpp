// A ready environment plus a request gives a container.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "launch/paths.h"
#include "launch/request.h"

namespace kist::launch {
namespace {

constexpr std::string_view kPath =
    "/opt/kist/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::string_view kPython = "/opt/kist/bin/python";

// What of the host's environment reaches the inside: how the terminal looks, how to reach the
// network, and which devices were given to the job. Everything else would make a run depend on the
// shell it was typed in.
constexpr std::array kPassedOn = {
    "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TZ", "DISPLAY",
    "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "SLURM_JOB_ID", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_CPUS_PER_TASK"};

// Later settings win, and each name stands once: two entries of one name are read differently by
// different programs.
class Variables {
 public:
  void set(std::string_view name, std::string_view value) { values_[std::string(name)] = value; }
  void set(std::string_view assignment) {
    const size_t equals = assignment.find('=');
    set(assignment.substr(0, equals), assignment.substr(equals + 1));
  }
  std::vector<std::string> take() const {
    std::vector<std::string> out;
    out.reserve(values_.size());
    for (const auto& [name, value] : values_) out.push_back(fmt::format("{}={}", name, value));
    return out;
  }

 private:
  std::map<std::string, std::string> values_;
};

Variables variables_of(const Ready& ready, const RunRequest& request, const Host& host,
                       const std::string& home) {
  Variables out;
  out.set("PATH", kPath);
  out.set("LANG", "C.UTF-8");
  for (const std::string& variable : ready.base_variables) out.set(variable);
  for (const char* name : kPassedOn)
    if (const auto it = host.variables.find(name); it != host.variables.end())
      out.set(name, it->second);
  // The host's locale is passed on only as far as the container surely has it.
  out.set("HOME", home);
  out.set("USER", request.as_root ? "root" : host.user_name);
  out.set("LOGNAME", request.as_root ? "root" : host.user_name);
  out.set("VIRTUAL_ENV", "/opt/kist");
  out.set("KIST_ENVIRONMENT", ready.environment.starts_with("script-") ? "script" : ready.environment);
  // What Python compiles for itself would go to memory that dies with the container. With most of
  // the byte-code still missing it goes to the home instead, so that the next run has it.
  if (!ready.python_cache.empty())
    out.set("PYTHONPYCACHEPREFIX", os::join(home, ready.python_cache));
  else if (!ready.bytecode_plan.empty())
    out.set("PYTHONDONTWRITEBYTECODE", "1");
  for (const std::string& variable : ready.variables) out.set(variable);
  for (const std::string& variable : request.variables) out.set(variable);
  return out;
}

Result<std::vector<std::string>> command_of(const Ready& ready, const RunRequest& request) {
  if (request.what == RunRequest::What::shell) {
    std::vector<std::string> args = {ready.shell.empty() ? "/bin/bash" : ready.shell};
    args.insert(args.end(), request.args.begin(), request.args.end());
    return args;
  }
  if (request.what == RunRequest::What::command) {
    std::vector<std::string> args = request.args;
    if (args[0].ends_with(".py")) args.insert(args.begin(), std::string(kPython));
    return args;
  }
  const auto task = ready.tasks.find(request.args[0]);
  if (task == ready.tasks.end()) {
    std::vector<std::string> names;
    for (const auto& [name, command] : ready.tasks) names.push_back(name);
    Error error(Code::not_found, "'{}' is no task of this project", printable(request.args[0]));
    if (names.empty())
      return std::move(error).hint("tasks stand under `[tasks]` in kist.toml");
    if (const auto near = nearest(request.args[0], names))
      return std::move(error).hint(fmt::format("did you mean `kist task {}`?", *near));
    return std::move(error).hint(fmt::format("the tasks are: {}", fmt::join(names, ", ")));
  }
  // "$@" appends further arguments without quoting them twice.
  std::vector<std::string> args = {"/bin/sh", "-c", task->second + " \"$@\"", "sh"};
  args.insert(args.end(), request.args.begin() + 1, request.args.end());
  return args;
}

bool is_inside(std::string_view path, std::string_view folder) {
  return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
}

// Whether a folder of the host can be shown at its own path: not where it would cover the system.
bool can_be_shown(std::string_view folder) {
  constexpr std::array<std::string_view, 14> kSystem = {"/",     "/bin",  "/boot", "/dev", "/etc",
                                                        "/lib",  "/lib64", "/opt", "/proc", "/run",
                                                        "/sbin", "/sys",  "/usr", "/var"};
  for (const std::string_view parent : {"/dev", "/proc", "/sys"})
    if (is_inside(folder, parent)) return false;
  return std::find(kSystem.begin(), kSystem.end(), folder) == kSystem.end();
}

// A script has an environment of its own, whose project is the script's folder, but it is run from
// where the person stands: "kist run tools/script.py data/x.csv".
bool shows_working_dir(const Ready& ready, const Host& host) {
  return ready.environment.starts_with("script-") && !is_inside(host.working_dir, ready.project) &&
         can_be_shown(host.working_dir);
}

// Where the person's folder cannot be seen, the script's name must not depend on it.
void make_script_absolute(const Host& host, std::vector<std::string>& args) {
  const auto script = script_of(args);
  if (!script) return;
  for (std::string& arg : args) {
    if (arg != *script) continue;
    arg = host_path(arg, host.working_dir);
    return;
  }
}

Result<void> add_mounts(const Ready& ready, const RunRequest& request, const Host& host,
                        const std::string& home, runtime::ContainerSpec& spec) {
  // The home first: the project may lie inside of it.
  spec.mounts.push_back({.source = ready.home, .target = home});
  if (shows_working_dir(ready, host))
    spec.mounts.push_back({.source = host.working_dir, .target = host.working_dir});
  spec.mounts.push_back({.source = ready.project, .target = ready.project});
  Host at_project = host;
  at_project.working_dir = ready.project;
  for (const std::string& text : ready.mounts) {
    auto mount = TRY(parse_volume(text, at_project), "mount '{}' of kist.toml", printable(text));
    spec.mounts.push_back(std::move(mount));
  }
  spec.mounts.insert(spec.mounts.end(), request.mounts.begin(), request.mounts.end());
  return {};
}

}  // namespace

Result<runtime::ContainerSpec> container_of(const Ready& ready, const RunRequest& request,
                                            const Host& host) {
  runtime::ContainerSpec spec;
  spec.root = {.erofs_image = ready.erofs_image, .lowers = ready.lowers, .objects = ready.objects};
  if (!ready.erofs_image.empty()) spec.root.lowers.clear();
  else spec.root.objects.clear();
  const bool root = request.as_root || host.uid == 0;
  const std::string home = root ? "/root" : os::join("/home", host.user_name);
  TRY(add_mounts(ready, request, host, home, spec));
  spec.args = TRY(command_of(ready, request));
  spec.env = variables_of(ready, request, host, home).take();
  spec.uid = root ? 0 : host.uid;
  spec.gid = root ? 0 : host.gid;
  spec.umask = host.umask;
  if (!root) {
    spec.passwd_line = fmt::format("{}:x:{}:{}::{}:/bin/bash", host.user_name, spec.uid, spec.gid, home);
    spec.group_line = fmt::format("{}:x:{}:", host.user_name, spec.gid);
  }
  const bool in_project =
      is_inside(host.working_dir, ready.project) || shows_working_dir(ready, host);
  if (!in_project && ready.environment.starts_with("script-")) make_script_absolute(host, spec.args);
  spec.working_dir = in_project ? host.working_dir : ready.project;
  if (!request.working_dir.empty())
    spec.working_dir = clean_path(request.working_dir.starts_with("/")
                                      ? request.working_dir
                                      : os::join(spec.working_dir, request.working_dir));
  spec.hostname = request.hostname;
  const bool none = request.network_none.value_or(ready.no_network);
  spec.network = none ? runtime::Network::none : runtime::Network::host;
  spec.read_only_root = request.read_only;
  spec.shm_bytes = request.shm_bytes;
  spec.limits = {.memory_bytes = request.memory_bytes != 0 ? request.memory_bytes : ready.memory_bytes,
                 .cpus = request.cpus != 0 ? request.cpus : ready.cpus,
                 .pids = request.pids != 0 ? request.pids : ready.pids};
  spec.best_effort = request.best_effort;
  return spec;
}

}  // namespace kist::launch

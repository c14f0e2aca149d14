#include "engine/project.h"

#include "base/text.h"
#include "environment/platform.h"
#include "launch/paths.h"
#include "python/pylock_complete.h"

namespace kist::engine {
namespace {

constexpr uint64_t kMaxScriptBytes = 16 << 20;
constexpr uint64_t kMaxLockBytes = 256 << 20;

Result<std::string> folder_of(const launch::RunRequest& request, const launch::Host& host) {
  if (!request.project.empty()) {
    const std::string folder = launch::host_path(request.project, host.working_dir);
    if (os::is_folder(folder)) return folder;
    return Error(Code::not_found, "--project: '{}' is no folder", printable(folder));
  }
  std::string found = launch::find_project(host.working_dir);
  return found.empty() ? host.working_dir : found;
}

}  // namespace

Result<Project> locate(const launch::RunRequest& request, const launch::Host& host) {
  Project project;
  project.environment = request.environment;
  const auto script = launch::script_of(request.args);
  if (script && request.what == launch::RunRequest::What::command && request.from.empty() &&
      request.environment == "default") {
    const std::string path = launch::host_path(*script, host.working_dir);
    const auto text = os::read_file(path, kMaxScriptBytes);
    if (text && launch::has_inline_metadata(*text)) {
      project.script = path;
      project.folder = os::parent_of(path);
      project.environment = launch::script_environment(path);
    }
  }
  if (project.folder.empty()) project.folder = TRY(folder_of(request, host));
  project.store_folder = launch::project_folder(host.kist_home, project.folder);
  project.ready_path = launch::ready_path(host.kist_home, project.folder, project.environment);
  return project;
}

Result<python::Inputs> read_inputs(Project& project, const launch::RunRequest& request,
                                   const launch::Host& host) {
  const python::ProjectFolder files(project.folder);
  python::DetectOptions options;
  options.environment = project.script.empty() ? request.environment : "default";
  options.from = request.from.empty() ? "" : launch::host_path(request.from, host.working_dir);
  options.script = project.script;
  options.variables = host.variables;
  python::Inputs inputs = TRY(python::detect(files, options));
  // A lone script, or a folder that says nothing, is not littered with a lock.
  const bool beside = project.script.empty() && inputs.kind != python::InputKind::none;
  project.lock_path = beside ? os::join(project.folder, inputs.lock_name)
                             : os::join(project.store_folder, project.environment + ".pylock.toml");
  return inputs;
}

void choose_platform(Project& project, const std::string& platform) {
  if (platform.empty() || platform == environment::host_platform()) return;
  project.lock_path = os::join(os::parent_of(project.lock_path),
                               python::lock_file_name(project.environment, platform));
}

Result<std::optional<python::Lock>> read_lock(const Project& project, Progress& progress) {
  if (!os::exists(project.lock_path)) return std::optional<python::Lock>();
  const std::string text = TRY(os::read_file(project.lock_path, kMaxLockBytes));
  std::vector<std::string> warnings;
  auto lock = python::parse_lock(text, os::name_of(project.lock_path), warnings);
  if (!lock) return std::move(lock).error();
  for (std::string& warning : warnings) progress.warn(std::move(warning));
  return std::optional(std::move(*lock));
}

bool is_current(const python::Lock& lock, const python::Inputs& inputs) {
  if (!lock.kist) return false;
  return python::why_stale(lock, inputs, {.platform = lock.kist->platform}).empty();
}

}  // namespace kist::engine

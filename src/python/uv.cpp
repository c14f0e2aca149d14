#include "python/uv.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "python/versions.h"

namespace kist::python {
namespace {

// The glibc versions that uv's --python-platform knows, newest first (0.6.15 to 0.13.9).
constexpr uint32_t kPlatformGlibc[] = {40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 17};

// Leads uv to another interpreter, or changes what it resolves to without the inputs' changing.
constexpr std::string_view kRemoved[] = {
    "VIRTUAL_ENV",      "CONDA_PREFIX",        "CONDA_DEFAULT_ENV", "PYTHONPATH",
    "PYTHONHOME",       "UV_PYTHON",           "UV_SYSTEM_PYTHON",  "UV_PROJECT_ENVIRONMENT",
    "UV_CONSTRAINT",    "UV_OVERRIDE",         "UV_EXCLUDE",        "UV_BUILD_CONSTRAINT",
    "UV_NO_BUILD",      "UV_NO_BUILD_PACKAGE", "UV_NO_BINARY",      "UV_NO_BINARY_PACKAGE",
    "UV_TORCH_BACKEND", "UV_WORKING_DIR",      "UV_OFFLINE",        "UV_FROZEN",
    "UV_LOCKED",        "UV_NO_SOURCES",       "FORCE_COLOR",       "CLICOLOR_FORCE"};

}  // namespace

Result<UvRequest> uv_request(const Inputs& inputs, const Target& target) {
  if (inputs.is_locked() || inputs.kind == InputKind::lock) {
    return Error(Code::unsupported, "{} is locked already and is not resolved again",
                 inputs.chosen);
  }
  const auto range = TRY(VersionSpecifiers::parse(inputs.requires_python), "requires-python");
  // "3.11" alone stands for some 3.11.x: ">=3.11.4" must not refuse it.
  const Version exact = TRY(Version::parse(target.python_full_version()));
  const Version latest = TRY(
      Version::parse(target.python_full.empty() ? target.python() + ".999" : target.python_full));
  if (!range.contains(exact) && !range.contains(latest)) {
    return Error(Code::unsupported, "{} needs Python {}, not {}",
                 printable(fmt::format("{}", fmt::join(inputs.main, ", "))),
                 printable(inputs.requires_python),
                 target.python_full.empty() ? target.python() : target.python_full)
        .hint("set `python` in kist.toml, or the project's requires-python");
  }
  UvRequest out;
  out.target = target;
  out.packages = inputs.packages;
  out.gpu = inputs.settings.gpu;
  if (inputs.kind == InputKind::requirements) out.files = inputs.main;
  if (inputs.kind == InputKind::setup_py) out.packages.insert(out.packages.begin(), "-e .");
  if (inputs.kind != InputKind::pyproject) return out;
  // Without [project] the file is only a carrier of groups.
  if (inputs.pyproject->has_project || inputs.pyproject->is_poetry) out.files = inputs.main;
  out.extras = inputs.settings.extras;
  out.groups = inputs.groups;
  return out;
}

namespace {

// uv knows some versions of glibc by name, and of musl 1.2 alone.
std::string platform_of(const Target& target) {
  if (target.musl_minor != 0) return target.machine() + "-unknown-linux-musl";
  uint32_t glibc = 17;
  for (const uint32_t known : kPlatformGlibc) {
    if (known > target.glibc_minor) continue;
    glibc = known;
    break;
  }
  return fmt::format("{}-manylinux_2_{}", target.machine(), glibc);
}

}  // namespace

UvCommand uv_command(const UvRequest& request) {
  UvCommand out;
  std::vector<std::string>& arguments = out.arguments;
  const auto add = [&](std::initializer_list<std::string> more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
  };
  add({request.uv, "pip", "compile", "--format", "pylock.toml", "--quiet", "--no-header"});
  add({"--output-file", request.output});
  add({"--python-version",
       request.target.python_full.empty() ? request.target.python() : request.target.python_full});
  add({"--python-platform", platform_of(request.target)});
  if (!request.interpreter.empty()) add({"--python", request.interpreter});
  if (!request.allow_build) add({"--no-build"});
  if (request.offline) add({"--offline"});
  if (request.upgrade) add({"--upgrade"});
  for (const std::string& name : request.upgrade_packages) add({"--upgrade-package", name});
  if (!request.gpu.empty()) add({"--torch-backend", request.gpu});
  if (!request.cache_folder.empty()) add({"--cache-dir", request.cache_folder});
  for (const std::string& extra : request.extras) add({"--extra", extra});
  for (const std::string& group : request.groups)
    add({"--group", fmt::format("pyproject.toml:{}", group)});
  // After "--", so that no file name is taken for an option.
  const bool input = !request.packages.empty() || (request.files.empty() && request.groups.empty());
  if (request.files.empty() && !input) return out;
  add({"--"});
  arguments.insert(arguments.end(), request.files.begin(), request.files.end());
  if (input) add({"-"});
  for (const std::string& package : request.packages) out.input += package + "\n";
  return out;
}

Result<std::string> check_uv_version(std::string_view output) {
  const std::string_view line = trim(output.substr(0, output.find('\n')));
  std::string_view text = line;
  if (text.starts_with("uv ")) text.remove_prefix(3);
  text = text.substr(0, text.find(' '));
  const auto version = Version::parse(text);
  if (!version) {
    return Error(Code::invalid, "'uv --version' says '{}', want 'uv X.Y.Z'", printable(line));
  }
  const Version oldest = TRY(Version::parse(kOldestUv));
  if (*version < oldest) {
    return Error(Code::unsupported, "uv {} is too old, want {} or later", version->string(),
                 kOldestUv)
        .hint("update it: `uv self update`, or take it off PATH to let kist bring its own");
  }
  return version->string();
}

std::map<std::string, std::string> uv_environment(
    const std::map<std::string, std::string>& host,
    const std::map<std::string, std::string>& index_settings) {
  std::map<std::string, std::string> out = host;
  for (const std::string_view name : kRemoved) out.erase(std::string(name));
  for (const auto& [name, value] : index_settings) out.emplace(name, value);
  out["NO_COLOR"] = "1";
  out["UV_NO_PROGRESS"] = "1";
  out["UV_PYTHON_DOWNLOADS"] = "never";
  // Lines of an explanation are wrapped at the terminal's width; ours are not a terminal's.
  out["COLUMNS"] = "100";
  return out;
}

std::string relocate(const std::string& path, const UvFolders& folders) {
  const std::string full = path_from(folders.output, path);
  const std::string project = normal_path(folders.project);
  if (full == project) return ".";
  const std::string inside = project == "/" ? "/" : project + "/";
  if (full.starts_with(inside)) return full.substr(inside.size());
  // A sibling ("../lib") moves along with the project in a common checkout; farther ones do not.
  const std::string parent = project.substr(0, project.rfind('/') + 1);
  if (parent.size() > 1 && full.starts_with(parent)) return "../" + full.substr(parent.size());
  return full;
}

Result<Lock> read_uv_output(std::string_view text, const UvFolders& folders,
                            std::vector<std::string>& warnings) {
  Lock lock = TRY(parse_lock(text, "uv's answer", warnings));
  const auto fix = [&](std::string& path) {
    if (!path.empty()) path = relocate(path, folders);
  };
  for (LockedPackage& package : lock.packages) {
    if (package.vcs) fix(package.vcs->path);
    if (package.directory) fix(package.directory->path);
    if (package.archive) fix(package.archive->path);
    if (package.sdist) fix(package.sdist->path);
    for (LockedFile& wheel : package.wheels) fix(wheel.path);
  }
  return lock;
}

}  // namespace kist::python

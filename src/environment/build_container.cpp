#include "environment/build_container.h"

#include "base/text.h"
#include "http/address.h"
#include "http/local_file.h"
#include "environment/assemble.h"
#include "environment/build_vcs.h"
#include "http/curl_client.h"
#include "python/pylock_select.h"
#include "python/uv.h"

namespace kist::environment {
namespace {

constexpr std::string_view kEnvironment = "/kist-build/environment";
constexpr std::string_view kOutput = "/kist-build/output";
constexpr size_t kMaxLogBytes = 1u << 20;

// What people keep in a project's folder that is not the project; some of it is large.
constexpr std::string_view kCopyProgram = R"py(
import shutil, sys
names = ('.venv', 'venv', '__pycache__', 'node_modules', '.tox', '.nox', '.mypy_cache',
         '.pytest_cache', '.ruff_cache', '.ipynb_checkpoints')
shutil.copytree(sys.argv[1], sys.argv[2], symlinks=True, dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(*names))
)py";

// "$1": address, "$2": commit, "$3": folder. Servers may refuse to give a commit by its name alone.
constexpr std::string_view kGitProgram = R"sh(
set -e
cd "$3"
git init -q .
git fetch -q --depth 1 "$1" "$2" || git fetch -q --tags "$1" '+refs/heads/*:refs/remotes/origin/*'
git checkout -q --detach "$2"
git submodule update -q --init --recursive --depth 1
)sh";

Step step_in(const BuildPlace& place, std::string name) {
  Step step;
  step.name = std::move(name);
  step.root = root_source(place.root);
  step.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/tmp"};
  return step;
}

}  // namespace

std::string BuildContainer::environment_folder() const {
  return os::join(place_.scratch_folder, "environment");
}

Result<void> BuildContainer::uv(const std::vector<std::string>& arguments, const std::string& name,
                                const std::string& input) {
  Step step = step_in(place_, name);
  step.input = input;
  step.env.clear();
  TRY(give_uv_access(context_, step));
  // The cache and the environment are two mounts: nothing can be linked from one to the other.
  step.env.push_back("UV_LINK_MODE=copy");
  step.env.push_back("UV_CACHE_DIR=" + context_.cache("uv"));
  step.env.push_back("UV_NO_PROGRESS=1");
  if (context_.offline) step.env.push_back("UV_OFFLINE=1");
  step.mounts.push_back({.source = environment_folder(), .target = std::string(kEnvironment)});
  step.args = {"/opt/kist/bin/uv"};
  step.args.insert(step.args.end(), arguments.begin(), arguments.end());
  const StepOutput output = TRY(run_step(step));
  if (output.status == 0) return {};
  return python::uv_failure(output.err, {}).context(name);
}

Result<void> BuildContainer::make_environment(const std::vector<std::string>& requirements) {
  if (installed_ && (place_.locked || *installed_ == requirements)) return {};
  installed_.reset();
  TRY(os::remove_tree(environment_folder()));
  TRY(os::make_folders(environment_folder(), 0700));
  const std::string name = "preparing the build of " + place_.label;
  TRY(uv({"venv", "--quiet", "--allow-existing", "--no-config", "--python", place_.python,
          std::string(kEnvironment)}, name));
  if (place_.locked) {
    TRY(install_locked(name));
  } else if (!requirements.empty()) {
    std::vector<std::string> install = {"pip", "install", "--quiet", "--python",
                                        std::string(kBuildPython), "--"};
    install.insert(install.end(), requirements.begin(), requirements.end());
    TRY(uv(install, name));
  }
  installed_ = requirements;
  return {};
}

// By hash and nothing beside, so that the index has no say in it.
Result<void> BuildContainer::install_locked(const std::string& name) {
  if (place_.locked->empty()) return {};
  std::string lines;
  for (const python::LockedBuildRequirement& one : *place_.locked)
    lines += fmt::format("{}=={} --hash=sha256:{}\n", one.name, one.version, one.sha256.hex());
  TRY(os::write_file_atomically(os::join(environment_folder(), "requirements.txt"), lines));
  return uv({"pip", "install", "--quiet", "--python", std::string(kBuildPython), "--no-deps",
             "--require-hashes", "--only-binary", ":all:", "-r",
             fmt::format("{}/requirements.txt", kEnvironment)}, name);
}

Result<std::vector<python::LockedBuildRequirement>> BuildContainer::resolve(
    const std::vector<std::string>& requirements, const python::Target& target,
    const std::vector<python::LockedBuildRequirement>& preferred) {
  std::vector<python::LockedBuildRequirement> out;
  if (requirements.empty()) return out;
  TRY(os::make_folders(environment_folder(), 0700));
  const std::string answer = os::join(environment_folder(), "pylock.build.toml");
  // uv prefers the versions of the file that it is about to replace.
  python::Lock before;
  for (const python::LockedBuildRequirement& one : preferred) {
    before.packages.push_back({.name = one.name, .version = one.version});
    before.packages.back().wheels.push_back(
        {.name = "unknown.whl", .url = "https://unknown.invalid/unknown.whl",
         .hashes = {{"sha256", one.sha256.hex()}}});
  }
  if (!preferred.empty()) TRY(os::write_file_atomically(answer, python::write_lock(before)));
  python::UvRequest request;
  request.uv = "/opt/kist/bin/uv";
  request.interpreter = place_.python;
  request.target = target;
  request.packages = requirements;
  request.output = fmt::format("{}/pylock.build.toml", kEnvironment);
  request.offline = context_.offline;
  request.cache_folder = context_.cache("uv");
  const python::UvCommand command = python::uv_command(request);
  const std::string name = "locking what " + place_.label + " is built with";
  TRY(uv({command.arguments.begin() + 1, command.arguments.end()}, name, command.input));
  const std::string text = TRY(os::read_file(answer, 16u << 20));
  std::vector<std::string> warnings;
  const auto lock = TRY(python::read_uv_output(
      text, {.output = environment_folder(), .project = environment_folder()}, warnings));
  const auto wheels = TRY(python::select(lock, target));
  for (const python::SelectedPackage& wheel : wheels) {
    if (wheel.kind != python::SelectedPackage::Kind::wheel)
      return Error(Code::unsupported, "{} is needed for it, and has no wheel", wheel.name);
    out.push_back({.package = "", .name = wheel.name, .version = wheel.version,
                   .sha256 = *wheel.file.sha256()});
  }
  return out;
}

Result<os::Output> BuildContainer::run(const python::BuildStep& build) {
  TRY(make_environment(build.requirements));
  Step step = step_in(place_, "building " + place_.label);
  step.args = build.args;
  step.env = build.env;
  step.env.push_back(fmt::format("PATH={}/bin:/usr/local/bin:/usr/bin:/bin", kEnvironment));
  step.mounts.push_back({.source = environment_folder(), .target = std::string(kEnvironment),
                         .read_only = true});
  step.mounts.push_back({.source = build.project_folder, .target = place_.inside_project});
  step.mounts.push_back({.source = build.output_folder, .target = std::string(kOutput)});
  step.working_dir = place_.inside_project;
  StepOutput output = TRY(run_step(step));
  for (const std::string* text : {&output.out, &output.err})
    log_.append(*text, 0, kMaxLogBytes - std::min(kMaxLogBytes, log_.size()));
  return os::Output{.status = output.status, .out = std::move(output.out),
                    .err = std::move(output.err)};
}

Result<void> copy_sources(const BuildPlace& place, const std::string& from, const std::string& to) {
  Step step = step_in(place, "copying the sources of " + place.label);
  step.args = {place.python, "-I", "-S", "-B", "-c", std::string(kCopyProgram),
               "/kist-build/from", "/kist-build/to"};
  step.mounts.push_back({.source = from, .target = "/kist-build/from", .read_only = true});
  step.mounts.push_back({.source = to, .target = "/kist-build/to"});
  const StepOutput output = TRY(run_step(step));
  if (output.status == 0) return {};
  return Error(Code::invalid, "cannot copy '{}':{}", printable(from), tail_of(output));
}

Result<void> fetch_commit(const Context& context, const BuildPlace& place,
                          const python::LockedVcs& vcs, const std::string& to) {
  if (vcs.type != "git")
    return Error(Code::unsupported, "{} comes from a {} repository, only git is supported",
                 place.label, printable(vcs.type));
  Step step = step_in(place, "fetching " + place.label);
  step.env.clear();
  TRY(give_uv_access(context, step));
  const std::string url = vcs.url.empty() ? http::file_url(vcs.path) : vcs.url;
  if (http::is_local_url(url)) {
    const std::string path = TRY(http::local_path(url));
    show(step, path, true);
  }
  step.mounts.push_back({.source = to, .target = "/kist-build/to"});
  add_git_settings(step, url, http::credentials_for(context.client, url));
  step.args = {"/bin/sh", "-c", std::string(kGitProgram), "sh", url, vcs.commit_id, "/kist-build/to"};
  StepOutput output = TRY(run_step(step));
  output.err = redact_all(output.err);
  if (output.status == 0) return {};
  return Error(Code::invalid, "cannot get commit {} of '{}':{}", printable(vcs.commit_id),
               printable(http::redact(url)), tail_of(output));
}

}  // namespace kist::environment

#include "python/pylock_complete.h"

#include <algorithm>

#include "base/text.h"
#include "http/client.h"
#include "python/foreign_lock.h"
#include "python/uv_lock.h"

namespace kist::python {
namespace {

Selection selection_of(const Inputs& inputs) {
  Selection out;
  // uv.lock was read for the extras and groups already; a PEP 751 file is asked for them.
  if (inputs.kind != InputKind::pylock) return out;
  out.extras.insert(inputs.settings.extras.begin(), inputs.settings.extras.end());
  out.groups.insert(inputs.settings.groups.begin(), inputs.settings.groups.end());
  out.default_groups = inputs.settings.default_groups.value_or(true);
  return out;
}

bool is_from(const LockedPackage& package, const Requirement& requirement) {
  const std::string address = http::redact(requirement.address.substr(0, requirement.address.find('#')));
  const auto is = [&](const LockedFile& file) {
    return !file.path.empty() ? normal_path(file.path) == normal_path(address) : file.url == address;
  };
  if (package.directory) return normal_path(package.directory->path) == normal_path(address);
  if (package.vcs) return !package.vcs->url.empty() && address.find(package.vcs->url) != std::string::npos;
  if (package.archive && is(*package.archive)) return true;
  return std::any_of(package.wheels.begin(), package.wheels.end(), is);
}

// A requirement may be no more than an address: "./lib", "git+https://…".
void name_from(const Lock& lock, Requirement& requirement) {
  if (!requirement.name.empty()) return;
  for (const LockedPackage& package : lock.packages)
    if (is_from(package, requirement)) requirement.name = package.name;
}

// The names that the project asks for itself, in all of its inputs.
Result<std::vector<std::string>> requested(const Inputs& inputs, const Target& target,
                                           const Lock& lock) {
  std::vector<Requirement> all = inputs.requirements.requirements;
  const auto add = [&](const std::vector<std::string>& texts) -> Result<void> {
    for (const std::string& text : texts) {
      Requirement requirement = TRY(parse_requirement(text));
      all.push_back(std::move(requirement));
    }
    return {};
  };
  TRY(add(inputs.packages));
  const bool of_project = inputs.kind == InputKind::pyproject ||
                          inputs.kind == InputKind::uv_lock ||
                          inputs.kind == InputKind::poetry_lock;
  if (inputs.pyproject && of_project) {
    TRY(add(inputs.pyproject->dependencies));
    for (const std::string& extra : inputs.settings.extras) {
      const auto found = inputs.pyproject->extras.find(extra);
      if (found != inputs.pyproject->extras.end()) TRY(add(found->second));
    }
    for (const std::string& group : inputs.groups) {
      const auto found = inputs.pyproject->groups.find(group);
      if (found != inputs.pyproject->groups.end()) TRY(add(found->second));
    }
  }
  for (Requirement& requirement : all) name_from(lock, requirement);
  return requested_names(all, target);
}

// The project itself, as `uv sync` would install it: editable, so that its code is read from its
// folder. uv's resolution of pyproject.toml leaves it out.
void add_project(const Inputs& inputs, Lock& lock) {
  if (inputs.kind != InputKind::pyproject || !inputs.pyproject->is_package) return;
  const std::string& name = inputs.pyproject->name;
  std::erase_if(lock.packages, [&](const LockedPackage& package) { return package.name == name; });
  LockedPackage project;
  project.name = name;
  project.directory = LockedDirectory{.path = ".", .editable = true, .subdirectory = {}};
  lock.packages.push_back(std::move(project));
}

}  // namespace

Result<Lock> read_locked_input(const Inputs& inputs, const ProjectFiles& files,
                               const Target& target, const IndexAccess& index,
                               std::vector<std::string>& warnings) {
  const std::string file = inputs.kind == InputKind::lock ? inputs.lock_name
                           : inputs.main.empty()          ? std::string()
                                                          : inputs.main.front();
  const std::string text = TRY(files.read(file));
  if (inputs.kind == InputKind::pylock || inputs.kind == InputKind::lock)
    return parse_lock(text, file, warnings);
  if (inputs.kind == InputKind::uv_lock) {
    UvLockRoot root;
    if (inputs.pyproject && inputs.pyproject->has_project) root.project = inputs.pyproject->name;
    root.extras = inputs.settings.extras;
    root.groups = inputs.groups;
    return read_uv_lock(text, file, target, root);
  }
  ForeignLockOptions options;
  options.target = target;
  options.groups = inputs.settings.groups;
  options.extras = inputs.settings.extras;
  options.default_groups = inputs.settings.default_groups.value_or(true);
  ForeignLock foreign;
  if (inputs.kind == InputKind::poetry_lock)
    foreign = TRY(read_poetry_lock(text, file, options));
  else
    foreign = TRY(read_pipfile_lock(text, file, options));
  return find_addresses(foreign, index.client, index.index_url);
}

Result<Lock> complete_lock(const Lock& resolved, const Inputs& inputs, const Target& target) {
  Lock allowed = resolved;
  TRY(apply_hashes(inputs.requirements, target, allowed));
  add_project(inputs, allowed);
  Lock out = TRY(narrow(allowed, target, selection_of(inputs)));
  KistSection kist;
  kist.environment = inputs.settings.name;
  kist.platform = target.platform;
  kist.python = target.python_full.empty() ? target.python() : target.python_full;
  kist.base = inputs.settings.base;
  kist.inputs = inputs.fingerprint;
  kist.source = fmt::format("{}", fmt::join(inputs.main, ", "));
  kist.gpu = inputs.settings.gpu;
  kist.requested = TRY(requested(inputs, target, out));
  kist.system = inputs.system;
  out.kist = std::move(kist);
  return out;
}

std::string why_stale(const Lock& lock, const Inputs& inputs, const Target& target) {
  if (!lock.kist) return "it was not written by kist";
  const KistSection& kist = *lock.kist;
  const std::string main = printable(fmt::format("{}", fmt::join(inputs.main, ", ")));
  if (kist.environment != inputs.settings.name)
    return fmt::format("it is for the environment {}", printable(kist.environment));
  if (kist.platform != target.platform)
    return fmt::format("it is for {}", printable(kist.platform));
  if (inputs.kind == InputKind::lock) return {};
  if (kist.source != fmt::format("{}", fmt::join(inputs.main, ", ")))
    return fmt::format("it was made from {}, now {} counts",
                       kist.source.empty() ? "other settings" : printable(kist.source),
                       main.empty() ? "something else" : main);
  if (kist.inputs != inputs.fingerprint)
    return fmt::format("{} changed",
                       main.empty() ? "the settings have" : main + " or what it uses has");
  return {};
}

}  // namespace kist::python

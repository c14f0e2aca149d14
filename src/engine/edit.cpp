#include "engine/edit.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "engine/edit_backup.h"
#include "engine/keep_finished.h"
#include "python/edit.h"

namespace kist::engine {
namespace {

using environment::Context;
using python::InputKind;
using python::Inputs;
using python::TomlList;

constexpr uint64_t kMaxFileBytes = 64 << 20;

// Changes to files that can all be taken back.
class FileEdits {
 public:
  explicit FileEdits(std::string folder) : folder_(std::move(folder)) {}

  // What the file says now; empty when there is none.
  Result<std::string> read(const std::string& name) {
    if (const auto it = files_.find(name); it != files_.end()) return it->second.now;
    File file{.path = os::join(folder_, name)};
    if (os::exists(file.path)) {
      // Through links: the file that they lead to is the one to replace.
      file.path = TRY(os::real_path(file.path));
      file.before = TRY(os::read_file(file.path, kMaxFileBytes));
      struct stat found = {};
      if (::stat(file.path.c_str(), &found) == 0) file.mode = found.st_mode & 0777;
    }
    file.now = file.before.value_or("");
    std::string now = file.now;
    files_.emplace(name, std::move(file));
    return now;
  }

  // Whether that changes anything. `name` was read before.
  bool set(const std::string& name, std::string text) {
    std::string& now = files_.at(name).now;
    const bool changed = now != text;
    now = std::move(text);
    return changed;
  }

  std::vector<std::string> changed() const {
    std::vector<std::string> names;
    for (const auto& [name, file] : files_)
      if (file.is_changed()) names.push_back(name);
    return names;
  }

  Result<void> write() {
    for (auto& [name, file] : files_)
      if (file.is_changed()) TRY(os::write_file_durably(file.path, file.now, file.mode));
    return {};
  }

  std::vector<std::string> changed_paths() const {
    std::vector<std::string> paths;
    for (const auto& [name, file] : files_)
      if (file.is_changed()) paths.push_back(file.path);
    return paths;
  }

 private:
  struct File {
    std::string path;
    std::optional<std::string> before;
    std::string now;
    mode_t mode = 0644;
    bool is_changed() const { return now != before.value_or(""); }
  };
  std::string folder_;
  std::map<std::string, File> files_;
};

const TomlList kDependencies{.table = {"project"},
                             .key = "dependencies",
                             .after = {"name", "version", "requires-python"}};

struct Settings {
  std::string file;
  std::vector<std::string> table;
  TomlList list(std::string key) const { return {.table = table, .key = std::move(key)}; }
};

Settings settings_of(const Inputs& inputs, const std::string& environment) {
  Settings settings{.file = "kist.toml", .table = {"environment"}};
  if (inputs.pyproject && inputs.pyproject->kist)
    settings = {.file = "pyproject.toml", .table = {"tool", "kist", "environment"}};
  if (environment != "default") settings.table.push_back(environment);
  return settings;
}

Error not_ours(const Inputs& inputs, std::string_view verb, const std::string& name) {
  const std::string file = inputs.main.empty() ? inputs.lock_name : inputs.main.front();
  Error error(Code::unsupported, "{} decides what is installed, and kist does not change it",
              printable(file));
  if (inputs.kind == InputKind::uv_lock)
    return std::move(error).hint(fmt::format("`uv {} {}`", verb, shell_quote(name)));
  if (inputs.kind == InputKind::poetry_lock)
    return std::move(error).hint(fmt::format("`poetry {} {}`", verb, shell_quote(name)));
  if (inputs.kind == InputKind::pipfile_lock)
    return std::move(error).hint(
        fmt::format("`pipenv {} {}`", verb == "add" ? "install" : "uninstall", shell_quote(name)));
  return std::move(error).hint("change what it was made from, and make it again");
}

python::IsItem is_text(std::string text) {
  return [text = std::move(text)](std::string_view item) { return item == text; };
}

Result<bool> add_to_list(FileEdits& edits, const std::string& file, const TomlList& list,
                         const std::string& item, const python::IsItem& is_item) {
  const std::string text = TRY(edits.read(file));
  std::string after = TRY(python::add_to_toml_list(text, file, list, item, is_item));
  return edits.set(file, std::move(after));
}

// A bare name leaves a requirement with a version as it is.
Result<bool> add_requirement_to_list(FileEdits& edits, const std::string& file,
                                     const TomlList& list, const std::string& written) {
  const python::Requirement requirement = TRY(python::parse_requirement(written));
  const std::string text = TRY(edits.read(file));
  const auto items = TRY(python::items_of_toml_list(text, file, list));
  const python::IsItem same =
      requirement.name.empty() ? is_text(written) : python::names_package(requirement.name);
  const bool is_there = std::any_of(items.begin(), items.end(), same);
  if (is_there && python::normalize_name(written) == requirement.name) return false;
  return add_to_list(edits, file, list, requirement.text, same);
}

Result<bool> add_to_requirements(FileEdits& edits, const Inputs& inputs,
                                 const std::string& written) {
  const python::Requirement requirement = TRY(python::parse_requirement(written));
  std::string file = inputs.main.front();
  // Where the name stands already, perhaps in a file that the chosen one includes.
  for (const python::Requirement& known : inputs.requirements.requirements)
    if (!requirement.name.empty() && known.name == requirement.name && !known.file.empty())
      file = known.file;
  const std::string text = TRY(edits.read(file));
  std::string after = TRY(python::add_to_requirements(text, requirement), "{}", printable(file));
  return edits.set(file, std::move(after));
}

Result<bool> add_one(FileEdits& edits, const Inputs& inputs, const std::string& environment,
                     const std::string& name, bool is_system) {
  const Settings settings = settings_of(inputs, environment);
  if (is_system) return add_to_list(edits, settings.file, settings.list("system"), name, is_text(name));
  if (inputs.is_locked() || inputs.kind == InputKind::lock) return not_ours(inputs, "add", name);
  // What is for one environment only cannot stand in a file that all share.
  if (environment == "default" && inputs.kind == InputKind::requirements)
    return add_to_requirements(edits, inputs, name);
  if (environment == "default" && inputs.kind == InputKind::pyproject && inputs.pyproject &&
      inputs.pyproject->has_project)
    return add_requirement_to_list(edits, "pyproject.toml", kDependencies, name);
  return add_requirement_to_list(edits, settings.file, settings.list("packages"), name);
}

// Takes a name out wherever it stands, and remembers all names that it met.
class Remover {
 public:
  Remover(FileEdits& edits, const Inputs& inputs, std::string environment)
      : edits_(edits), inputs_(inputs), settings_(settings_of(inputs, environment)) {}

  Result<bool> remove_system(const std::string& name) {
    known_ = inputs_.system;
    TRY(from_list(settings_.file, settings_.list("system"), is_text(name)));
    for (const python::InputFile& file : inputs_.files) {
      if (os::name_of(file.path) != "apt.txt") continue;
      const std::string text = TRY(edits_.read(file.path));
      if (auto after = python::remove_from_apt_file(text, name)) take(file.path, std::move(*after));
    }
    return found_;
  }

  Result<bool> remove_package(const std::string& name) {
    const python::IsItem is_it = python::names_package(name);
    TRY(from_list(settings_.file, settings_.list("packages"), is_it));
    if (inputs_.kind == InputKind::requirements) TRY(from_requirements(name));
    if (inputs_.kind == InputKind::pyproject && inputs_.pyproject) {
      TRY(from_list("pyproject.toml", kDependencies, is_it));
      for (const std::string& group : inputs_.groups)
        (void)from_list("pyproject.toml", {.table = {"dependency-groups"}, .key = group}, is_it)
            .has_value();  // A group that includes others is no plain list.
    }
    return found_;
  }

  const std::vector<std::string>& known() const { return known_; }

 private:
  void take(const std::string& file, std::string text) {
    edits_.set(file, std::move(text));
    found_ = true;
  }

  Result<void> from_list(const std::string& file, const TomlList& list, const python::IsItem& is_it) {
    const std::string text = TRY(edits_.read(file));
    if (text.empty()) return {};
    const auto items = TRY(python::items_of_toml_list(text, file, list));
    for (const std::string& item : items) {
      const auto parsed = python::parse_requirement(item);
      if (parsed) known_.push_back(parsed->name);
    }
    auto after = TRY(python::remove_from_toml_list(text, file, list, is_it));
    if (after) take(file, std::move(*after));
    return {};
  }

  Result<void> from_requirements(const std::string& name) {
    for (const python::Requirement& known : inputs_.requirements.requirements)
      known_.push_back(known.name);
    for (const std::string& file : inputs_.requirements.files) {
      const std::string text = TRY(edits_.read(file));
      auto after = TRY(python::remove_from_requirements(text, name), "{}", printable(file));
      if (after) take(file, std::move(*after));
    }
    return {};
  }

  FileEdits& edits_;
  const Inputs& inputs_;
  const Settings settings_;
  std::vector<std::string> known_;
  bool found_ = false;
};

bool is_locked(const std::optional<python::Lock>& lock, const std::string& name, bool is_system) {
  if (!lock) return false;
  if (!is_system)
    return std::any_of(lock->packages.begin(), lock->packages.end(),
                       [&](const python::LockedPackage& package) { return package.name == name; });
  return lock->kist && std::any_of(lock->kist->debian.begin(), lock->kist->debian.end(),
                                   [&](const python::LockedDebianPackage& package) {
                                     return package.name == name;
                                   });
}

Error not_asked_for(const std::string& name, const std::vector<std::string>& known, bool is_locked) {
  if (is_locked)
    return Error(Code::not_found, "the project does not ask for '{}' itself, something else needs it",
                 printable(name))
        .hint(fmt::format("`kist why {}`", shell_quote(name)));
  Error error(Code::not_found, "the project does not ask for '{}'", printable(name));
  if (const auto near = nearest(name, known))
    return std::move(error).hint(fmt::format("did you mean `kist remove {}`?", shell_quote(*near)));
  return std::move(error).hint("`kist tree` shows what there is");
}

Result<LockOutcome> lock_again(const Context& context, Project& project,
                               const launch::RunRequest& request) {
  const Inputs inputs = TRY(read_inputs(project, request, context.host));
  store::Transaction tx = TRY(context.store.begin());
  LockOutcome outcome = TRY(keep_finished(tx, ensure_lock(context, project, inputs, {}, tx)));
  TRY(std::move(tx).commit());
  return outcome;
}

// Writes, locks, and takes all back if locking fails.
Result<LockOutcome> apply(const Context& context, Project& project,
                          const launch::RunRequest& request, FileEdits& edits) {
  std::vector<std::string> touched = edits.changed_paths();
  touched.push_back(project.lock_path);
  EditBackup backup = TRY(EditBackup::begin(edit_journal(project), std::move(touched)));
  const auto write_and_lock = [&]() -> Result<LockOutcome> {
    TRY(edits.write());
    return lock_again(context, project, request);
  };
  auto locked = write_and_lock();
  if (locked) {
    std::move(backup).keep();
    return locked;
  }
  Error error = std::move(locked).error();
  if (const auto restored = std::move(backup).restore(); !restored) {
    context.progress.warn("a file could not be put back: " + restored.error().message());
    return error;
  }
  const std::string files = fmt::format("{}", fmt::join(edits.changed(), ", "));
  if (files.empty()) return error;
  return std::move(error).context(fmt::format("nothing was changed, {} is as it was", files));
}

}  // namespace

Result<EditOutcome> add_packages(const Context& context, const launch::RunRequest& request,
                                 const EditRequest& edit) {
  Project project = TRY(locate(request, context.host));
  const os::FileLock guard = TRY(guard_edits(project));
  const Inputs inputs = TRY(read_inputs(project, request, context.host));
  FileEdits edits(project.folder);
  EditOutcome outcome;
  for (const std::string& name : edit.names) {
    const bool changed =
        TRY(add_one(edits, inputs, request.environment, name, edit.is_system));
    if (!changed) outcome.unchanged.push_back(name);
  }
  outcome.files = edits.changed();
  outcome.lock = TRY(apply(context, project, request, edits));
  return outcome;
}

Result<EditOutcome> remove_packages(const Context& context, const launch::RunRequest& request,
                                    const EditRequest& edit) {
  Project project = TRY(locate(request, context.host));
  const os::FileLock guard = TRY(guard_edits(project));
  const Inputs inputs = TRY(read_inputs(project, request, context.host));
  const auto old_lock = TRY(read_lock(project, context.progress));
  FileEdits edits(project.folder);
  std::vector<std::string> names;
  for (const std::string& written : edit.names) {
    const std::string name = edit.is_system ? written : python::normalize_name(written);
    names.push_back(name);
    if (!edit.is_system && (inputs.is_locked() || inputs.kind == InputKind::lock))
      return not_ours(inputs, "remove", name);
    Remover remover(edits, inputs, request.environment);
    const bool found = TRY(edit.is_system ? remover.remove_system(name)
                                          : remover.remove_package(name));
    if (!found) return not_asked_for(name, remover.known(), is_locked(old_lock, name, edit.is_system));
  }
  EditOutcome outcome;
  outcome.files = edits.changed();
  outcome.lock = TRY(apply(context, project, request, edits));
  for (const std::string& name : names)
    if (is_locked(outcome.lock.lock, name, edit.is_system)) outcome.staying.push_back(name);
  return outcome;
}

}  // namespace kist::engine

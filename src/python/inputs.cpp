// Longer than most files: one class whose steps share what they have found so far, each of them short.
#include "python/inputs.h"

#include <algorithm>

#include "base/text.h"
#include "python/lock_python.h"

namespace kist::python {
namespace {

// Understood by others, not by us: said, so that nobody wonders.
constexpr std::string_view kForeign[] = {"pixi.lock", "conda-lock.yml", "environment.yml",
                                         "environment.yaml"};
// Where mybinder.org looks; for us, when the project's own folder has nothing.
constexpr std::string_view kFolders[] = {".", "binder", ".binder"};

struct Candidate {
  InputKind kind;
  std::string path;
};

// Longer than other classes: what is chosen first decides what is looked for next.
class Detector {
 public:
  Detector(const ProjectFiles& files, const DetectOptions& options)
      : files_(files), options_(options) {}

  Result<Inputs> detect() {
    TRY(read_settings());
    TRY(choose());
    TRY(read_chosen());
    TRY(read_python());
    TRY(read_system());
    TRY(take_groups());
    out_.packages.insert(out_.packages.end(), out_.settings.packages.begin(),
                         out_.settings.packages.end());
    finish();
    return std::move(out_);
  }

 private:
  void watch(const std::string& path) { out_.watched.push_back(path); }

  bool is_file(const std::string& path) {
    watch(path);
    return files_.is_file(path);
  }

  void depends_on(std::string_view role, const std::string& path, std::string_view content) {
    out_.files.push_back({std::string(role), path, oci::Sha256::of(content)});
  }

  Result<void> read_settings() {
    if (is_file("pyproject.toml")) {
      const std::string text = TRY(files_.read("pyproject.toml"));
      out_.pyproject = TRY(parse_pyproject(text));
      depends_on("pyproject", "pyproject.toml", out_.pyproject->relevant);
    }
    if (out_.pyproject && out_.pyproject->kist) out_.project = *out_.pyproject->kist;
    if (is_file("kist.toml")) {
      if (out_.pyproject && out_.pyproject->kist) {
        return Error(Code::invalid, "kist.toml and [tool.kist] in pyproject.toml are both here")
            .hint("keep one of them");
      }
      const std::string text = TRY(files_.read("kist.toml"));
      out_.project = TRY(parse_project_file(text));
      has_settings_ = true;
    } else if (!out_.pyproject || !out_.pyproject->kist) {
      out_.project = TRY(parse_project_file(""));
    }
    out_.settings = TRY(out_.project.environment(options_.environment));
    out_.lock_name = lock_file_name(out_.settings.name);
    out_.has_lock = is_file(out_.lock_name);
    return {};
  }

  Result<void> choose() {
    if (!options_.script.empty()) {
      const std::string text = TRY(files_.read(options_.script));
      out_.script = TRY(read_script_metadata(text, options_.script));
      watch(options_.script);
      if (out_.script) {
        out_.kind = InputKind::script;
        out_.main = {options_.script};
        out_.chosen = fmt::format("the metadata in {}", printable(options_.script));
        return {};
      }
    }
    if (!options_.from.empty()) return choose_files({options_.from}, "asked for by --from");
    if (out_.settings.inputs) {
      const std::string settings = has_settings_ ? "kist.toml" : "[tool.kist]";
      if (!out_.settings.inputs->empty())
        return choose_files(*out_.settings.inputs, fmt::format("as {} says", settings));
      out_.kind = InputKind::settings;
      out_.chosen = settings;
      return {};
    }
    return choose_by_precedence();
  }

  Result<void> choose_files(const std::vector<std::string>& paths, const std::string& why) {
    for (const std::string& path : paths) {
      const auto kind = kind_of_file(path);
      if (!kind) {
        return Error(Code::unsupported, "'{}' is no file that tells what a project needs",
                     printable(path))
            .hint(
                "requirements.txt, pyproject.toml, uv.lock, pylock.toml, poetry.lock and "
                "Pipfile.lock are");
      }
      if (!is_file(path))
        return Error(Code::not_found, "'{}', {}, does not exist", printable(path), why);
      const bool several = *kind == InputKind::requirements && out_.kind == *kind;
      if (!out_.main.empty() && !several) {
        return Error(Code::invalid, "'{}' and '{}' cannot be combined, only requirements files can",
                     printable(out_.main.front()), printable(path));
      }
      out_.kind = *kind;
      out_.main.push_back(normal_path(path));
    }
    out_.chosen =
        fmt::format("{} ({})", printable(fmt::format("{}", fmt::join(out_.main, ", "))), why);
    return {};
  }

  // The candidates in one folder, best first. Requirements come last, since there may be several.
  Result<std::vector<Candidate>> candidates_in(const std::string& folder) {
    std::vector<Candidate> out;
    const auto add = [&](InputKind kind, const char* name) {
      const std::string path = path_from(folder, name);
      if (is_file(path)) out.push_back({kind, path});
    };
    add(InputKind::uv_lock, "uv.lock");
    TRY(add_pylock(folder, out));
    add(InputKind::poetry_lock, "poetry.lock");
    add(InputKind::pipfile_lock, "Pipfile.lock");
    add(InputKind::requirements, "requirements.txt");
    if (folder == ".") {
      if (out_.pyproject && out_.pyproject->is_input())
        out.push_back({InputKind::pyproject, "pyproject.toml"});
      add(InputKind::setup_py, "setup.py");
    }
    // requirements-dev.txt beside pyproject.toml is in addition to it, not instead of it.
    TRY(add_requirements(folder, out));
    if (out.empty() && !locks_.empty()) return several("locks and no pylock.toml", locks_);
    return out;
  }

  // pylock.toml, or pylock.NAME.toml: of the environment NAME, or the only one.
  Result<void> add_pylock(const std::string& folder, std::vector<Candidate>& out) {
    const std::string own = path_from(folder, fmt::format("pylock.{}.toml", out_.settings.name));
    const std::string plain = path_from(folder, "pylock.toml");
    for (const std::string& path : {own, plain}) {
      if (!is_file(path)) continue;
      out.push_back({InputKind::pylock, path});
      return {};
    }
    std::vector<std::string> found;
    for (const std::string& name : files_.list(folder)) {
      const std::string path = path_from(folder, name);
      if (name.starts_with("pylock.") && name.ends_with(".toml") && !is_own_lock(name) && is_file(path))
        found.push_back(path);
    }
    if (found.size() == 1) out.push_back({InputKind::pylock, found.front()});
    if (found.size() > 1) locks_ = std::move(found);
    return {};
  }

  // kist's own locks: pylock.kist.toml, pylock.kist-gpu.toml, pylock.kist@linux-arm64.toml.
  static bool is_own_lock(std::string_view name) {
    return name.starts_with("pylock.kist.") || name.starts_with("pylock.kist-") ||
           name.starts_with("pylock.kist@");
  }

  // requirements-*.txt, and where those are kept in a folder of their own.
  Result<void> add_requirements(const std::string& folder, std::vector<Candidate>& out) {
    for (const Candidate& known : out)
      if (known.kind == InputKind::requirements) return {};
    std::vector<std::string> found;
    for (const std::string& name : files_.list(folder)) {
      const std::string path = path_from(folder, name);
      if (name.starts_with("requirements") && name.ends_with(".txt") && is_file(path))
        found.push_back(path);
    }
    const std::string beside = path_from(folder, "requirements");
    watch(beside);
    if (found.empty() && out.empty() && files_.is_folder(beside)) {
      for (const std::string& name : files_.list(beside)) {
        const std::string path = path_from(beside, name);
        if (name.ends_with(".txt") && is_file(path)) found.push_back(path);
      }
    }
    if (found.size() == 1) out.push_back({InputKind::requirements, found.front()});
    if (found.size() < 2 || !out.empty()) return {};
    return several("requirements files and no requirements.txt", found);
  }

  static Error several(std::string_view what, const std::vector<std::string>& found) {
    return Error(Code::invalid, "there are several {}: {}", what,
                 printable(fmt::format("{}", fmt::join(found, ", "))))
        .hint(fmt::format("choose one: `kist run --from {} …`, or for good `inputs = [\"{}\"]` under "
                          "[environment] in kist.toml",
                          shell_quote(found.front()), printable(found.front())));
  }

  Result<void> choose_by_precedence() {
    std::vector<Candidate> found;
    for (const std::string_view folder : kFolders) {
      if (!found.empty()) break;
      if (folder != ".") watch(std::string(folder));
      if (folder == "." || files_.is_folder(std::string(folder)))
        found = TRY(candidates_in(std::string(folder)));
    }
    std::vector<std::string> foreign;
    for (const std::string_view name : kForeign)
      if (is_file(std::string(name))) foreign.emplace_back(name);
    if (found.empty()) return choose_fallback(foreign);
    out_.kind = found.front().kind;
    out_.main = {found.front().path};
    out_.chosen = printable(found.front().path);
    if (found.size() > 1) {
      std::vector<std::string> others;
      for (size_t i = 1; i < found.size(); ++i) others.push_back(found[i].path);
      out_.chosen += fmt::format(" ({} {} here too: `--from {}`)",
                                 printable(fmt::format("{}", fmt::join(others, ", "))),
                                 others.size() == 1 ? "is" : "are", shell_quote(others.front()));
    }
    for (const std::string& name : foreign) {
      out_.warnings.push_back(
          fmt::format("{} is not read; took {}", name, printable(found.front().path)));
    }
    return {};
  }

  Result<void> choose_fallback(const std::vector<std::string>& foreign) {
    const bool says_something = !out_.settings.packages.empty() || !out_.settings.system.empty() ||
                                !out_.settings.python.empty() || !out_.settings.base.empty();
    if (says_something) {
      out_.kind = InputKind::settings;
      out_.chosen = has_settings_ ? "kist.toml" : "[tool.kist] in pyproject.toml";
      return {};
    }
    if (out_.has_lock) {
      out_.kind = InputKind::lock;
      out_.chosen = out_.lock_name;
      return {};
    }
    if (foreign.empty()) TRY(refuse_setup_cfg());
    if (!foreign.empty()) {
      return Error(Code::unsupported, "{} cannot be read, and nothing else says what is needed",
                   fmt::join(foreign, ", "))
          .hint("write a requirements.txt, or export one from the environment");
    }
    out_.chosen = "nothing: no requirements.txt, pyproject.toml or lock is here";
    return {};
  }

  // A package that only setuptools' own command could install: neither pip nor uv reads setup.cfg.
  Result<void> refuse_setup_cfg() {
    if (!is_file("setup.cfg")) return {};
    const std::string text = TRY(files_.read("setup.cfg"));
    if (text.find("\n[options]") == std::string::npos && !text.starts_with("[options]")) return {};
    return Error(Code::unsupported,
                 "setup.cfg describes a package, but there is neither setup.py nor pyproject.toml")
        .hint("`printf 'from setuptools import setup\\nsetup()\\n' > setup.py`");
  }

  Result<void> read_chosen() {
    for (const std::string& path : out_.main) {
      if (out_.kind == InputKind::requirements) {
        TRY(read_requirements_file(path));
      } else if (out_.kind == InputKind::script) {
        out_.packages = out_.script->dependencies;
        out_.requires_python = out_.script->requires_python;
        depends_on("script", path, out_.script->block);
      } else if (out_.kind != InputKind::pyproject) {
        const std::string content = TRY(files_.read(path));
        depends_on("lock", path, content);
        lock_python_ = python_of_lock(out_.kind, content);
        out_.requires_python = lock_python_.requires_range;
      }
    }
    if (out_.kind == InputKind::setup_py) TRY(depend_on_folder("."));
    const bool of_project = out_.kind == InputKind::pyproject || out_.kind == InputKind::uv_lock ||
                            out_.kind == InputKind::poetry_lock;
    if (out_.pyproject && of_project) {
      if (!out_.pyproject->requires_python.empty())
        out_.requires_python = out_.pyproject->requires_python;
      if (out_.kind == InputKind::pyproject && !out_.pyproject->is_static())
        TRY(depend_on_folder("."));
      if (out_.kind == InputKind::pyproject && out_.pyproject->is_poetry)
        out_.warnings.emplace_back(
            "pyproject.toml has only [tool.poetry]; its build is asked for the dependencies");
    }
    return {};
  }

  Result<void> read_requirements_file(const std::string& path) {
    Requirements more = TRY(read_requirements(path, files_, options_.variables));
    for (const std::string& file : more.files) {
      const std::string content = TRY(files_.read(file));
      depends_on("requirements", file, content);
      watch(file);
    }
    for (const std::string& address : more.remote_files) {
      out_.warnings.push_back(fmt::format(
          "{} is read from the network: the lock does not notice when it changes", address));
    }
    for (const auto* list : {&more.requirements, &more.constraints})
      for (const Requirement& requirement : *list)
        if (requirement.kind == Requirement::Kind::path) TRY(depend_on_path(requirement));
    Requirements& all = out_.requirements;
    const auto append = [](auto& to, auto& from) {
      to.insert(to.end(), std::make_move_iterator(from.begin()),
                std::make_move_iterator(from.end()));
    };
    append(all.requirements, more.requirements);
    append(all.constraints, more.constraints);
    append(all.files, more.files);
    append(all.remote_files, more.remote_files);
    append(all.find_links, more.find_links);
    append(all.variables, more.variables);
    all.require_hashes = all.require_hashes || more.require_hashes;
    return {};
  }

  Result<void> depend_on_path(const Requirement& requirement) {
    const std::string& path = requirement.address;
    if (files_.is_folder(path)) return depend_on_folder(path);
    if (is_file(path)) {
      const std::string content = TRY(files_.read(path));
      depends_on("archive", path, content);
      return {};
    }
    return Error(Code::not_found, "{}:{}: '{}' does not exist", printable(requirement.file),
                 requirement.line, printable(path))
        .hint("paths in requirements are relative to the project's folder");
  }

  // What its metadata comes from; its code may change without making the lock stale.
  Result<void> depend_on_folder(const std::string& folder) {
    for (const char* name : {"pyproject.toml", "setup.cfg", "setup.py"}) {
      const std::string path = path_from(folder, name);
      if (!is_file(path)) continue;
      const std::string content = TRY(files_.read(path));
      depends_on("source", path, content);
    }
    return {};
  }

  // The first of these files in the project's folder and binder's.
  std::optional<std::string> first_of(std::string_view name) {
    for (const std::string_view folder : kFolders) {
      const std::string path = path_from(folder, name);
      if (is_file(path)) return path;
    }
    return std::nullopt;
  }

  Result<void> read_python() {
    if (!out_.settings.python.empty()) {
      out_.python = out_.settings.python;
      out_.python_from = has_settings_ ? "kist.toml" : "[tool.kist]";
      return {};
    }
    // A script says for itself what it needs; the folder's files are about something else.
    if (out_.kind == InputKind::script && !out_.requires_python.empty()) return {};
    if (is_file(".python-version")) {
      const std::string text = TRY(files_.read(".python-version"));
      out_.python = TRY(parse_python_version_file(text, ".python-version"));
      out_.python_from = ".python-version";
    } else if (const auto path = first_of("runtime.txt")) {
      const std::string text = TRY(files_.read(*path));
      out_.python = TRY(parse_runtime_file(text, *path, out_.warnings));
      out_.python_from = *path;
    } else if (!lock_python_.version.empty()) {
      out_.python = lock_python_.version;
      out_.python_from = out_.main.front();
    }
    if (out_.python.empty())
      out_.python_from.clear();
    else
      depends_on("python", out_.python_from, out_.python);
    return {};
  }

  Result<void> read_system() {
    out_.system = out_.settings.system;
    const auto path = first_of("apt.txt");
    if (!path || out_.kind == InputKind::script) return {};
    const std::string text = TRY(files_.read(*path));
    const std::vector<std::string> names = TRY(parse_apt_file(text, *path));
    for (const std::string& name : names)
      if (std::find(out_.system.begin(), out_.system.end(), name) == out_.system.end())
        out_.system.push_back(name);
    depends_on("system", *path, fmt::format("{}", fmt::join(names, "\n")));
    return {};
  }

  Result<void> take_groups() {
    const bool has_groups = out_.kind == InputKind::pyproject || out_.kind == InputKind::uv_lock;
    if (!out_.pyproject || !has_groups) return {};
    if (out_.settings.default_groups.value_or(true)) out_.groups = out_.pyproject->default_groups;
    for (const std::string& group : out_.settings.groups) {
      TRY(check_known("group", group, out_.pyproject->groups));
      if (std::find(out_.groups.begin(), out_.groups.end(), group) == out_.groups.end())
        out_.groups.push_back(group);
    }
    const auto& dynamic = out_.pyproject->dynamic;
    const bool known =
        std::find(dynamic.begin(), dynamic.end(), "optional-dependencies") == dynamic.end();
    for (const std::string& extra : out_.settings.extras)
      if (known) TRY(check_known("extra", extra, out_.pyproject->extras));
    return {};
  }

  static Result<void> check_known(std::string_view what, const std::string& name,
                                  const std::map<std::string, std::vector<std::string>>& known) {
    if (known.contains(name)) return {};
    std::vector<std::string> names;
    for (const auto& [candidate, requirements] : known) names.push_back(candidate);
    Error error(Code::invalid, "pyproject.toml has no {} '{}', only: {}", what, name,
                names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
    if (const auto near = nearest(name, names))
      return std::move(error).hint(fmt::format("write `{}`", *near));
    return error;
  }

  // The fingerprint and the order of things.
  void finish() {
    std::vector<std::string> text;
    for (const InputFile& file : out_.files) {
      text.push_back(
          fmt::format("file {} {} {}", file.role, percent_encode(file.path), file.content.hex()));
    }
    const auto add = [&](std::string_view key, const std::string& value) {
      if (!value.empty()) text.push_back(fmt::format("{} {}", key, percent_encode(value)));
    };
    const EnvironmentSettings& settings = out_.settings;
    add("environment", settings.name);
    add("python", settings.python);
    add("base", settings.base);
    add("image-python", settings.image_python);
    add("gpu", settings.gpu);
    for (const std::string& path : out_.main) add("input", path);
    for (const std::string& package : settings.packages) add("package", package);
    for (const std::string& name : settings.system) add("system", name);
    for (const std::string& extra : settings.extras) add("extra", extra);
    for (const std::string& group : out_.groups) add("group", group);
    for (const auto& [platform, interpreter] : settings.interpreters)
      add("interpreter", fmt::format("{} {} {}{}", platform, interpreter.sha256.hex(),
                                     interpreter.url, interpreter.path));
    std::sort(text.begin(), text.end());
    out_.fingerprint =
        oci::Sha256::of(fmt::format("kist inputs 1\n{}\n", fmt::join(text, "\n"))).string();
    std::sort(out_.watched.begin(), out_.watched.end());
    out_.watched.erase(std::unique(out_.watched.begin(), out_.watched.end()), out_.watched.end());
  }

  const ProjectFiles& files_;
  const DetectOptions& options_;
  bool has_settings_ = false;         // Whether they come from kist.toml.
  std::vector<std::string> locks_;    // Several pylock.NAME.toml, of which none is meant.
  Inputs out_;
  LockPython lock_python_;
};

}  // namespace

Result<Inputs> detect(const ProjectFiles& files, const DetectOptions& options) {
  return Detector(files, options).detect();
}

std::optional<InputKind> kind_of_file(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (name == "uv.lock") return InputKind::uv_lock;
  if (name == "poetry.lock") return InputKind::poetry_lock;
  if (name == "Pipfile.lock") return InputKind::pipfile_lock;
  if (name == "pyproject.toml") return InputKind::pyproject;
  if (name == "setup.py") return InputKind::setup_py;
  if (name.ends_with(".toml") && (name.starts_with("pylock."))) return InputKind::pylock;
  if (name.ends_with(".txt") || name.ends_with(".in")) return InputKind::requirements;
  return std::nullopt;
}

}  // namespace kist::python

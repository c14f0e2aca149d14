// Finds out what a project needs, from the files that people already have. docs/formats/lock.md
// says what of them makes a lock stale.
//
//   ProjectFolder files(folder);
//   const Inputs inputs = TRY(detect(files, {.environment = "default"}));
//   out.line("using " + inputs.chosen);
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "python/inputs_files.h"
#include "python/project_file.h"
#include "python/pylock.h"
#include "python/pyproject.h"
#include "python/requirements.h"
#include "python/script_metadata.h"

namespace kist::python {

/// In the order of precedence.
enum class InputKind {
  script,  // PEP 723 metadata of the script that is run.
  uv_lock,
  pylock,
  poetry_lock,
  pipfile_lock,  // Locked by another tool: taken verbatim.
  requirements,
  pyproject,
  setup_py,  // The project is a package without pyproject.toml.
  settings,  // kist.toml alone.
  lock,      // Nothing but kist's own lock.
  none,      // Nothing: Python alone.
};

struct DetectOptions {
  std::string environment = "default";
  std::string from = {};    // --from FILE; relative to the project.
  std::string script = {};  // The script to run, if that is what is asked for.
  std::map<std::string, std::string> variables = {};  // For ${NAME} in requirements.
};

/// A file that the environment depends on.
struct InputFile {
  std::string role;  // "requirements", "constraints", "project", "system" …
  std::string path;
  oci::Digest content{oci::Digest::Bytes{}};  // Of what matters in it.
};

struct Inputs {
  InputKind kind = InputKind::none;
  std::vector<std::string> main;  // The files that were chosen; mostly one.
  /// One line for people: "requirements.txt (pyproject.toml is here too: `--from pyproject.toml`)".
  std::string chosen;
  EnvironmentSettings settings;  // Of the environment asked for.
  ProjectFile project;
  std::optional<Pyproject> pyproject;  // If there is one, whatever was chosen.
  std::optional<ScriptMetadata> script;
  Requirements requirements;          // requirements: what the files say.
  std::vector<std::string> packages;  // PEP 508: kist.toml's packages, the script's dependencies.
  std::vector<std::string> system;    // Debian packages: apt.txt and kist.toml.
  std::vector<std::string> groups;    // pyproject: those that are in, normalized.
  std::string python;                 // "3.11": asked for by name; empty: not said.
  std::string python_from;            // Where: ".python-version".
  std::string requires_python;        // A range, from the project or the script.
  std::string lock_name;              // "pylock.kist.toml"
  bool has_lock = false;              // Whether that file is here.
  bool is_locked() const { return kind >= InputKind::uv_lock && kind <= InputKind::pipfile_lock; }

  std::vector<InputFile> files;
  std::string fingerprint;  // "sha256:…" over files and settings.
  /// Paths whose appearing, going or changing may change the above: what a cache must look at.
  std::vector<std::string> watched;
  std::vector<std::string> warnings;
};

/// Errors: not_found (the environment; a file that was asked for), invalid (a file's content, with
/// file and line; several files that could be meant), unsupported (only files that we do not read).
Result<Inputs> detect(const ProjectFiles& files, const DetectOptions& options);

/// What a file is, by its name: "requirements-dev.txt" → requirements. Empty: not an input.
std::optional<InputKind> kind_of_file(std::string_view path);

/// ".python-version" and "runtime.txt": the version; empty when they name none that concerns us.
/// Errors: invalid, unsupported (PyPy).
Result<std::string> parse_python_version_file(std::string_view text, std::string_view file);
Result<std::string> parse_runtime_file(std::string_view text, std::string_view file,
                                       std::vector<std::string>& warnings);
/// apt.txt: a name a line. Errors: invalid.
Result<std::vector<std::string>> parse_apt_file(std::string_view text, std::string_view file);

}  // namespace kist::python

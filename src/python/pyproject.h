// pyproject.toml as far as an environment depends on it: PEP 621, PEP 735, [tool.uv], [tool.kist].
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "python/project_file.h"

namespace kist::python {

struct Pyproject {
  bool has_project = false;  // [project]
  std::string name;          // Normalized.
  std::string version;       // Empty: dynamic.
  std::string requires_python;
  std::vector<std::string> dependencies;                   // PEP 508 texts.
  std::map<std::string, std::vector<std::string>> extras;  // By normalized name.
  std::map<std::string, std::vector<std::string>> groups;  // With include-group resolved.
  std::vector<std::string> default_groups;  // [tool.uv] default-groups, else "dev" if there is one.
  std::vector<std::string> dynamic;
  bool has_build_system = false;
  std::vector<std::string> uv_paths;  // Folders and files of [tool.uv.sources] and find-links.
  bool is_poetry = false;  // [tool.poetry] dependencies without [project]: only poetry reads them.
  /// Whether the project itself is installed: as uv decides ([build-system], or tool.uv.package).
  bool is_package = false;
  /// Whether its dependencies are known without running its build.
  bool is_static() const;
  /// Whether it says anything of an environment; one with [tool.ruff] alone does not.
  bool is_input() const { return has_project || !groups.empty() || is_poetry; }
  std::optional<ProjectFile> kist;
  /// What of the file the environment depends on, always in the same form: for the fingerprint.
  std::string relevant;
};

/// Errors: invalid ("pyproject.toml:LINE:COLUMN: …"; groups that include themselves).
Result<Pyproject> parse_pyproject(std::string_view text, std::string_view file = "pyproject.toml");

}  // namespace kist::python

// Runs the steps of one package's build: a virtual environment with its build requirements, made
// with the network, and the backend's hooks, without.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "environment/build_root.h"
#include "python/pylock.h"
#include "python/sdist.h"

namespace kist::environment {

struct BuildPlace {
  std::string label;
  store::Root root;
  std::string python;          // "/usr/bin/python3.11"
  std::string scratch_folder;  // Ours alone.
  std::string inside_project;
  /// What the environment is made of, to the letter; empty: what the requirements lead to today.
  std::optional<std::vector<python::LockedBuildRequirement>> locked = {};
};

/// One build. Not copied: runners refer to it.
class BuildContainer {
 public:
  BuildContainer(const Context& context, BuildPlace place)
      : context_(context), place_(std::move(place)) {}

  /// For python::build_wheel(). Errors: those of uv (a build requirement that cannot be had), of
  /// run_step().
  Result<os::Output> run(const python::BuildStep& step);
  /// The wheels that satisfy the requirements now, those of `preferred` if they do.
  /// Errors: those of uv.
  Result<std::vector<python::LockedBuildRequirement>> resolve(
      const std::vector<std::string>& requirements, const python::Target& target,
      const std::vector<python::LockedBuildRequirement>& preferred);
  /// All that the package's own code printed so far, bounded.
  const std::string& log() const { return log_; }

 private:
  Result<void> make_environment(const std::vector<std::string>& requirements);
  Result<void> uv(const std::vector<std::string>& arguments, const std::string& name,
                  const std::string& input = "");
  Result<void> install_locked(const std::string& name);
  std::string environment_folder() const;

  const Context& context_;
  BuildPlace place_;
  std::optional<std::vector<std::string>> installed_;
  std::string log_;
};

/// Inside: the environment's interpreter.
inline constexpr std::string_view kBuildPython = "/kist-build/environment/bin/python";

/// Copies a folder of the host into another as a build needs it, in the container: what is no source
/// (virtual environments, caches) is left out.
Result<void> copy_sources(const BuildPlace& place, const std::string& from, const std::string& to);

/// Puts a commit of a git repository into the empty folder `to`. The root has git.
/// Errors: invalid (the commit cannot be had; git's words).
Result<void> fetch_commit(const Context& context, const BuildPlace& place,
                          const python::LockedVcs& vcs, const std::string& to);

}  // namespace kist::environment

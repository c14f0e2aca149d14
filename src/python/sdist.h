// From a source distribution to a wheel (PEP 517, 518, 660), with everything but the container: the
// caller says how a step is run, and has the build requirements resolved and importable there.
//
//   const std::string project = TRY(unpack_sdist(path, file_name, folder));
//   const std::string wheel = TRY(build_wheel({.project_folder = project, …}, runner));
//   … install_wheel(wheel, …), kept as sdist_key(…)
//
// The same sources give the same wheel: fixed paths inside the container, fixed times, hash seed 0,
// and the wheel is written anew in a fixed order (what a compiler makes of them is its own affair).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/digest.h"
#include "os/child.h"

namespace kist::python {

/// Unpacks a .tar.gz (.tgz, .tar.bz2, .tar.xz) or .zip that a stranger made into `folder`, which
/// must exist and be empty, and returns the folder of the project in it: the one folder at the top,
/// or `folder` itself. Nothing leads out of it: names, links and modes are checked; every time is
/// 1980. Errors: invalid, corrupt, unsupported (another kind of archive).
Result<std::string> unpack_sdist(const std::string& archive_path, std::string_view file_name,
                                 const std::string& folder);

/// [build-system] of pyproject.toml.
struct BuildSystem {
  std::vector<std::string> requirements;  // PEP 508.
  std::string backend;                    // "module" or "module:object".
  std::vector<std::string> backend_paths;  // Below the project's folder.
  bool operator==(const BuildSystem&) const = default;
};
/// Without pyproject.toml, or without the table, setuptools' legacy backend, as pip does.
/// Errors: invalid (with file, line and column).
Result<BuildSystem> read_build_system(const std::string& project_folder);

enum class BuildKind { wheel, editable };

/// One run of Python in a container, without network.
struct BuildStep {
  std::vector<std::string> requirements;  // Must be importable there, and nothing else.
  std::vector<std::string> args;
  std::vector<std::string> env;  // Exactly these, and a PATH of the caller's.
  // Folders of this machine, to be bound, writable, at the request's inside_… paths. The working
  // directory is inside_project.
  std::string project_folder;
  std::string output_folder;
};
/// Gives what the step printed and its exit status; fails when it could not be run.
using BuildRunner = std::function<Result<os::Output>(const BuildStep&)>;

struct BuildRequest {
  std::string project_folder;
  std::string scratch_folder;  // Exists, is ours; for outputs.
  std::string wheel_folder;    // Exists; where the finished wheel is put, under its own name.
  std::string name;            // Of the lock; empty: not checked.
  std::string version;         // The same.
  BuildKind kind = BuildKind::wheel;
  std::string python = "/opt/kist/bin/python";  // Inside, as the two below.
  std::string inside_project = "/build/project";
  std::string inside_output = "/build/output";
};

/// Asks the backend what it needs, then for the wheel; returns the path of the normalised wheel.
/// Errors: invalid (the backend failed: the message has the end of what it printed; it made no
/// wheel, or one of another name or version), and the runner's.
Result<std::string> build_wheel(const BuildRequest& request, const BuildRunner& runner);

/// The first half of that: all that must be importable for the build, as [build-system] and then the
/// backend say it. Errors: as build_wheel().
Result<std::vector<std::string>> build_requirements(const BuildRequest& request,
                                                    const BuildRunner& runner);

/// Writes the wheel `from` again to `to`: entries sorted, times and modes fixed, not compressed.
/// Errors: those of reading; invalid (two entries of one name, a link).
Result<void> normalize_wheel(const std::string& from, const std::string& to);

/// Names the wheel that building gives: of the archive's sha256, the interpreter and platform it is
/// built with, and the digests of all that was importable.
std::string sdist_key(const oci::Digest& sdist, std::string_view builder, BuildKind kind);

}  // namespace kist::python

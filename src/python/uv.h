// Resolving is uv's work; this is how it is asked and how its answers are read. Pure: running it is
// the caller's business (on the host without building, in a container with building).
//
//   UvRequest request = TRY(uv_request(inputs, target));
//   request.uv = …; request.interpreter = …; request.output = temp + "/pylock.toml";
//   const UvCommand command = uv_command(request);
//   // run command.arguments in the project's folder, command.input on stdin …
//   if (status != 0) return uv_failure(stderr_text, request);
//   Lock lock = TRY(read_uv_output(text, folders, warnings));
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "python/inputs.h"
#include "python/pylock.h"
#include "python/tags.h"

namespace kist::python {

/// The first uv that writes PEP 751 files from `uv pip compile`. "name" in wheels, sizes where the
/// index gives them, and `index` only in `uv export` are the same from there to 0.13.
constexpr std::string_view kOldestUv = "0.6.15";

struct UvRequest {
  std::string uv = "uv";
  std::string
      interpreter;  // Any Python 3 on the machine where uv runs; uv asks it about itself only.
  Target target;
  std::vector<std::string>
      files;  // requirements.txt …, or pyproject.toml; relative to the project.
  std::vector<std::string> packages;        // More requirements: they go to uv's stdin.
  std::vector<std::string> extras, groups;  // Of pyproject.toml.
  std::string output;    // Where uv writes. What is there already is preferred: the old lock.
  bool upgrade = false;  // Forget what the old lock says,
  std::vector<std::string> upgrade_packages;  // or what it says of these.
  bool allow_build = false;  // Building runs what a package's author wrote: only in a container.
  bool offline = false;
  std::string gpu;           // --torch-backend.
  std::string cache_folder;  // Empty: uv's own.
};

struct UvCommand {
  std::vector<std::string> arguments;
  std::string input;  // For its stdin.
};

/// What of the inputs uv is asked for. Errors: unsupported (locked inputs are not resolved; the
/// target's Python is outside of the project's requires-python).
Result<UvRequest> uv_request(const Inputs& inputs, const Target& target);
UvCommand uv_command(const UvRequest& request);
/// `uv --version` says "uv 0.13.9 (…)". Errors: invalid, unsupported (older than kOldestUv).
Result<std::string> check_uv_version(std::string_view output);

/// The host's environment for uv: without what would lead it to another interpreter or change its
/// answer, with quiet output, and with `index_settings` (http/index_config.h) where the host's
/// variables do not say otherwise. In the environment and not in the arguments, since those are
/// readable by everybody.
std::map<std::string, std::string> uv_environment(
    const std::map<std::string, std::string>& host,
    const std::map<std::string, std::string>& index_settings);

/// What uv said, as an error of ours: its explanation verbatim, one line a line, indented; its hint
/// as hint. Codes: invalid (no solution), not_found (no such package), unavailable (network),
/// denied (credentials), unsupported (an old uv). Credentials in addresses are taken out.
Error uv_failure(std::string_view stderr_text, const UvRequest& request);
/// Whether it failed only because building was not allowed.
bool uv_needs_build(std::string_view stderr_text);

struct UvFolders {
  std::string output;   // Where uv's output was written; absolute, without links.
  std::string project;  // Absolute, without links.
};
/// uv's file as a lock, with local paths relative to the project.
Result<Lock> read_uv_output(std::string_view text, const UvFolders& folders,
                            std::vector<std::string>& warnings);

/// A path relative to `folders.output` (or absolute), seen from the project; one outside of the
/// project's parent stays absolute.
std::string relocate(const std::string& path, const UvFolders& folders);

}  // namespace kist::python

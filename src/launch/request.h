// From a ready environment and what the command line asked for to the container that runs it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "launch/ready.h"
#include "runtime/container.h"

namespace kist::launch {

/// What of the host a run needs to know; main/ fills it once.
struct Host {
  std::string kist_home;   // The store: $KIST_HOME, or its default.
  std::string home;        // $HOME.
  std::string working_dir; // Absolute.
  std::string user_name;   // "user" when the host has no name for the uid.
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t umask = 022;  // The person's.
  std::map<std::string, std::string> variables;
};

/// What `kist run`, `shell` and `task` were asked for.
struct RunRequest {
  enum class What { command, shell, task };
  What what = What::command;
  std::vector<std::string> args;  // The command; for a task its name and further arguments.

  std::string environment = "default";
  std::string from;      // --from
  std::string project;   // --project
  bool locked = false;
  bool frozen = false;
  bool offline = false;
  bool quiet = false;
  bool verbose = false;

  std::vector<runtime::Mount> mounts;
  std::vector<std::string> variables;  // "NAME=value", complete.
  std::string working_dir;
  bool read_only = false;
  bool as_root = false;
  std::optional<bool> network_none;
  uint64_t memory_bytes = 0;
  double cpus = 0;
  uint64_t pids = 0;
  uint64_t shm_bytes = 0;
  std::string hostname;
  bool best_effort = false;
};

/// Everything is checked here that can be checked without starting: task names, folders.
/// Errors: not_found (task; with the nearest name), invalid.
Result<runtime::ContainerSpec> container_of(const Ready& ready, const RunRequest& request,
                                            const Host& host);

/// "SOURCE:TARGET[:ro|rw]", as docker: SOURCE relative to `working_dir`, "~" is the home.
Result<runtime::Mount> parse_volume(std::string_view text, const Host& host);
/// "type=bind,source=…,target=…[,readonly]" and "type=tmpfs,target=…[,tmpfs-size=…]".
Result<runtime::Mount> parse_mount(std::string_view text, const Host& host);
/// "PATH[:size=…]".
Result<runtime::Mount> parse_tmpfs(std::string_view text);
/// "8g", "512m", "100k", "1024": binary units, as docker.
Result<uint64_t> parse_size(std::string_view text);

/// The script that a command runs, when it is one that may have inline metadata: the command itself,
/// or the first argument of python, if its name ends in .py. Relative to the working folder.
std::optional<std::string> script_of(const std::vector<std::string>& args);
/// Whether the text has a PEP 723 block of type "script".
bool has_inline_metadata(std::string_view text);

/// The nearest folder from `start` upward that looks like a project; empty when none does.
std::string find_project(const std::string& start);

/// A ready file for this request that is fresh; empty when the engine has to look closer. Never
/// fails: whatever is odd is the engine's to explain.
std::optional<Ready> find_ready(const RunRequest& request, const Host& host);

}  // namespace kist::launch

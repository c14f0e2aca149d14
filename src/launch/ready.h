// A ready file says: this project's environment is locked, assembled and durable; here is its root,
// and here is what must not have changed since. It is all that the fast path of `kist run` reads.
//
// $KIST_HOME/projects/<key>/<name>.ready, where <key> is a hash of the project's path and <name> the
// environment's ("default"), or "script-<hash>" for a script with inline metadata.
// docs/formats/ready.md describes the bytes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/files.h"
#include "runtime/container.h"

namespace kist::launch {

/// A file or folder that decides about the environment. Without a stamp it must not exist.
struct Watched {
  std::string path;
  std::optional<os::Stamp> stamp;
  bool operator==(const Watched&) const = default;
};

struct Ready {
  std::string project;      // Absolute path of the project's folder.
  std::string environment;  // "default".
  std::vector<Watched> watched;

  std::string tree;  // Digest of the merged tree, "sha256:…".
  std::string root_lease;  // A file to hold flock(SH) on while the root is in use.
  std::string erofs_image;
  std::string objects;
  std::vector<std::string> lowers;
  /// Names the plan of what byte-code is still to be compiled; empty when all is there. The root is
  /// good to run: whoever runs something in it for longer lets kist-engine compile meanwhile.
  std::string bytecode_plan;
  /// Below `home`: where Python keeps meanwhile what it compiles for itself; empty: nowhere.
  std::string python_cache;

  std::string home;                    // Folder of the host that is $HOME inside.
  /// "NAME=value" of the image that is the base, PATH among them; the host's and kist.toml's come after.
  std::vector<std::string> base_variables;
  std::string shell;                   // What `kist shell` starts; empty: /bin/bash.
  std::vector<std::string> variables;  // "NAME=value", from kist.toml and the environment itself.
  std::vector<std::string> mounts;     // As -v takes them, from kist.toml.
  std::map<std::string, std::string> tasks;
  uint64_t memory_bytes = 0;  // 0: no limit.
  double cpus = 0;
  uint64_t pids = 0;
  bool no_network = false;

  bool operator==(const Ready&) const = default;
};

/// Which ready file: the project's folder and the environment's name.
std::string ready_path(std::string_view kist_home, std::string_view project,
                       std::string_view environment);
/// The folder of all that the store keeps for one project.
std::string project_folder(std::string_view kist_home, std::string_view project);
/// The name that stands for a script's own environment.
std::string script_environment(std::string_view script_path);

std::string encode(const Ready& ready);
/// Errors: corrupt (the caller makes a new one).
Result<Ready> decode(std::string_view text);

/// Keeps gc from removing the root while the descriptor, or a copy of it, is open. Not open when the
/// root is gone or going. Never waits.
os::Fd hold_lease(const Ready& ready);

/// True when everything watched is as it was. One stat each, no reading.
bool is_fresh(const Ready& ready);

}  // namespace kist::launch

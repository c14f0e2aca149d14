// The folder in which the runtime remembers one container: STATE_ROOT/ID.
//
//   creating.json  while it is being made: what has to be cleaned up if that ends half-way
//   state.json     when it exists; the same contents
//   config.json    the configuration that it was made from
//   start          a socket on which the first process waits to be started
//
// Who changes a container holds an flock on its folder; the kernel lets go of it when they die. So
// a folder without state.json whose lock is free is a leftover, and is cleaned up by the next who
// wants the name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/cgroups.h"
#include "bundle/container.h"
#include "os/fd.h"

namespace kist::bundle {

/// All that is recorded.
struct Record {
  State state;  // Without its status.
  uint64_t start_time = 0;  // Of `state.pid`, in clock ticks since boot: pids are used again.
  std::vector<CgroupFolder> cgroups;
  uint64_t namespaces = 0;  // Those that are the container's own, CLONE_NEW*.
  std::string systemd_unit;  // The scope that its cgroups are of; empty: made by us.
  bool chrooted = false;    // No pivot_root: the mount namespace has another root than it.
};

Result<void> check_id(const std::string& id);

class StateFolder {
 public:
  /// Takes a new name. Cleans up what a crash has left of an older one.
  /// Errors: exists, invalid, denied.
  static Result<StateFolder> claim(const std::string& state_root, const std::string& id);
  /// That of an existing container, locked. Errors: not_found.
  static Result<StateFolder> lock(const std::string& state_root, const std::string& id);

  const std::string& path() const { return path_; }
  const os::Fd& folder() const { return folder_; }
  /// While it is being made.
  Result<void> write_draft(const Record& record) const;
  /// From now on it exists.
  Result<void> commit() const;
  Result<void> write_config(std::string_view bytes) const;
  /// With all that is in it.
  Result<void> remove() const;

 private:
  StateFolder(std::string path, os::Fd folder)
      : path_(std::move(path)), folder_(std::move(folder)) {}
  std::string path_;
  os::Fd folder_;  // Locked.
};

/// Errors: not_found ("container does not exist"), corrupt.
Result<Record> read_record(const std::string& state_root, const std::string& id);
/// The draft of one that is not finished. Empty: there is none.
std::optional<Record> read_draft(const std::string& state_root, const std::string& id);
/// The names of all containers, sorted.
Result<std::vector<std::string>> list_ids(const std::string& state_root);
/// As JSON and back.
std::string record_text(const Record& record);
Result<Record> parse_record(std::string_view text);

/// Ticks since boot at which `pid` began; 0: there is no such process, or only its remains.
uint64_t start_time_of(pid_t pid);
/// Is it still the process that was recorded?
bool is_alive(const Record& record);
Status status_of(const std::string& state_root, const Record& record);

/// Ends what is left of a container: its processes and its cgroups.
Result<void> clean_up(const Record& record);

}  // namespace kist::bundle

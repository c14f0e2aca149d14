// How a container is: rewritten by its supervisor at each change, read by everybody. Small, and
// with all that `ps` prints, so that listing hundreds reads nothing else.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::containers {

enum class Phase { created, running, paused, restarting, exited, dead };
/// As docker's {{.State}}.
std::string_view name_of(Phase phase);

struct Status {
  // Of the record, repeated for `ps`.
  std::string id;
  std::string name;
  std::string image;
  std::string command;  // As a shell would read it.
  std::string ports;    // "0.0.0.0:8080->80/tcp, 443/tcp"
  int64_t created_ns = 0;

  Phase phase = Phase::created;
  pid_t pid = 0;             // Of the first process inside, as the host counts; 0: none.
  uint64_t pid_start = 0;    // Its start, in the kernel's ticks (proc(5), field 22): tells it from
                             // a later process with the same number.
  pid_t supervisor = 0;
  int64_t started_ns = 0;    // 0: never.
  int64_t finished_ns = 0;
  int exit_code = 0;
  bool out_of_memory = false;
  uint64_t memory_peak_bytes = 0;  // At the end; 0: not known.
  uint64_t memory_limit_bytes = 0;
  uint64_t restart_count = 0;
  bool stopped_by_hand = false;  // By stop or kill: restart policies let it be.
  std::string error;             // Why it could not start, or what was lost.
  std::string health;            // "", "starting", "healthy", "unhealthy"
  uint64_t health_failures = 0;
  bool operator==(const Status&) const = default;

  bool is_alive() const { return phase == Phase::running || phase == Phase::paused; }
};

/// Lines of "key value", the value percent-encoded; docs/formats/container.md.
std::string encode(const Status& status);
/// Errors: corrupt.
Result<Status> decode_status(std::string_view text);

/// Field 22 of /proc/PID/stat; 0 when there is no such process.
uint64_t start_of_process(pid_t pid);
/// Whether the process that `status` names still runs (a zombie does not).
bool process_lives(const Status& status);

}  // namespace kist::containers

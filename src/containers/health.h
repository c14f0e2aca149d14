// Health checks of one container, run by its supervisor: no timer of the system, no thread. As docker's:
// one at a time, the next one an interval after the end of the last; one that takes too long is killed
// with all of its process group and counts as failed.
#pragma once

#include <poll.h>

#include <deque>
#include <string>
#include <vector>

#include "containers/place.h"
#include "containers/supervisor.h"

namespace kist::containers {

struct ProbeResult {
  int64_t start_ns = 0;  // Since 1970, UTC.
  int64_t end_ns = 0;
  int exit_code = 0;     // -1: it was killed, or could not be started.
  std::string output;    // At most 4,096 bytes.
  bool operator==(const ProbeResult&) const = default;
};

/// Of the file `health` in a container's folder: the last five, oldest first. Empty if there is none.
std::vector<ProbeResult> read_probes(const Place& place, std::string_view id);

class HealthMonitor {
 public:
  /// All must outlive this. `status` gets its fields of health, and is written when they change.
  HealthMonitor(const Place& place, const Record& record, Machine& machine, Status& status);

  void container_began();
  void container_ended();
  /// Of CLOCK_BOOTTIME, in nanoseconds; INT64_MAX: none. Then on_time() is to be called.
  int64_t deadline() const;
  void on_time();
  void add_to(std::vector<pollfd>& events);
  /// `first`: where in `events` those of add_to() begin.
  void look_at(const std::vector<pollfd>& events, size_t first);

 private:
  void start_probe();
  void read_output();
  void finish(int exit_code);
  void judge(const ProbeResult& result);
  bool is_paused() const;
  void keep(ProbeResult result);
  int64_t interval_ns() const;

  const Place& place_;
  const Record& record_;
  Machine& machine_;
  Status& status_;
  bool is_on_;
  Started probe_;
  os::Fd output_;
  ProbeResult current_;
  std::deque<ProbeResult> results_;
  int64_t next_at_ns_;
  int64_t kill_at_ns_;
  int64_t began_ns_ = 0;
  bool timed_out_ = false;
};

}  // namespace kist::containers

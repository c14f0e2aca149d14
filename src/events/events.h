// What happened to containers, images, volumes: a journal that whoever acts writes into, as there is
// nobody who watches. docs/formats/events.md.
//
//   events::write(kist_home, {.type = "volume", .action = "create", .id = name});
//
// One write(2) with O_APPEND for each event, so that lines of several writers never mix; a reader passes
// over what is no event. Bounded: a journal that has grown to 4 MiB becomes journal.1, and the one
// before that is gone. Not synced. Threads and processes: any number at once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kist::events {

struct Event {
  int64_t time_ns = 0;  // Since 1970, UTC; 0 when written: now.
  std::string type;     // "container", "image", "volume", "network"
  std::string action;   // "start", "die", "exec_start: sh -c true"
  std::string id;       // Whole id; of volumes the name.
  std::vector<std::pair<std::string, std::string>> attributes;  // Sorted when printed.
  bool operator==(const Event&) const = default;
};

/// Never fails a verb: what cannot be written is lost.
void write(const std::string& kist_home, Event event);

/// One line, with the newline; and back. Errors: corrupt.
std::string encode(const Event& event);
Result<Event> decode(std::string_view line);

struct Range {
  int64_t since_ns = 0;          // 0: none before now.
  int64_t until_ns = INT64_MAX;  // What is later is not given; reading ends then.
};
/// Gives `sink` the events of the range in the order of writing, then waits for more until `until_ns`
/// has passed (by the calendar) or `sink` returns false. Errors: unavailable.
Result<void> follow(const std::string& kist_home, const Range& range, const std::function<bool(const Event&)>& sink);

}  // namespace kist::events

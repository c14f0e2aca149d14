// Reads back what log_writer.h keeps.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "containers/log_writer.h"

namespace kist::containers {

struct LogQuery {
  bool standard_output = true;
  bool standard_error = true;
  bool timestamps = false;
  bool follow = false;
  std::optional<uint64_t> tail;  // The last so many lines; none: all.
  int64_t since_ns = 0;          // 0: from the beginning.
  int64_t until_ns = 0;          // 0: to the end.
};

/// Gives `sink` the lines of `path` and the files rotated out of it, oldest first, as they were
/// printed; stops when `sink` returns false. A line that is damaged is passed on as it stands.
/// `follow`: waits for more for as long as `goes_on` says so. Blocks.
/// Errors: those of opening. A log that does not exist is empty.
Result<void> read_log(const std::string& path, const LogQuery& query,
                      const std::function<bool(Stream, std::string_view)>& sink,
                      const std::function<bool()>& goes_on);

/// "2026-01-02T03:04:05.000000006Z" as nanoseconds since 1970; also without a fraction, with an
/// offset, as a date alone, as seconds since 1970 ("1767323045.5"), or as a span before `now_ns`
/// ("10m", "1h30m"): what docker's --since takes. Local times count as UTC.
std::optional<int64_t> parse_time(std::string_view text, int64_t now_ns);

}  // namespace kist::containers

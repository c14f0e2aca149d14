// kist logs
#include <ctime>

#include "base/text.h"
#include "container_cli/verb.h"
#include "containers/log_reader.h"

namespace kist::container_cli {
namespace {

Result<int64_t> time_of(const cli::Parsed& parsed, const char* flag) {
  if (!parsed.has(flag)) return 0;
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::string text = parsed.value(flag);
  const auto time = containers::parse_time(text, now.tv_sec * 1'000'000'000 + now.tv_nsec);
  if (!time)
    return Error(Code::invalid, "{}: '{}' is no time, want for example 2026-01-02T03:04:05Z, or 10m for ten minutes ago",
                 flag, printable(text));
  return *time;
}

}  // namespace

Result<int> logs_verb(const cli::Parsed& parsed, const Here& here) {
  const containers::Record record = TRY(here.record(parsed.positionals()[0]));
  if (record.log_driver == "none")
    return Error(Code::unsupported, "container {} keeps no log (--log-driver none)", printable(record.name));
  containers::LogQuery query;
  query.timestamps = parsed.has("--timestamps");
  query.follow = parsed.has("--follow");
  query.since_ns = TRY(time_of(parsed, "--since"));
  query.until_ns = TRY(time_of(parsed, "--until"));
  // As docker: fewer than none are all.
  if (const std::string tail = parsed.value("--tail", "all"); tail != "all" && !tail.starts_with('-')) {
    query.tail = parse_number(tail);
    if (!query.tail) return Error(Code::invalid, "--tail: '{}' is neither a number nor all", printable(tail));
  }
  const os::Fd streams[] = {os::Fd(::dup(1)), os::Fd(::dup(2))};
  const auto sink = [&](containers::Stream stream, std::string_view text) {
    return os::write_all(streams[stream == containers::Stream::standard_output ? 0 : 1], text).has_value();
  };
  TRY(containers::read_log(here.place.file_of(record.id, "log"), query, sink,
                           [&] { return here.place.is_looked_after(record.id); }));
  return 0;
}

}  // namespace kist::container_cli

#include "runtime_cli/log.h"

#include <fcntl.h>
#include <time.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstdio>

#include "base/text.h"
#include "os/files.h"

namespace kist::runtime_cli {
namespace {

constexpr size_t kLongest = 4000;

std::string now_text() {
  const time_t now = ::time(nullptr);
  tm parts = {};
  ::gmtime_r(&now, &parts);
  char text[64];
  const size_t size = ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

const char* name_of(Log::Level level) {
  switch (level) {
    case Log::Level::debug: return "debug";
    case Log::Level::warning: return "warning";
    case Log::Level::error: return "error";
  }
  return "error";
}

// The words that others look for, such as "no such file or directory", stand in the causes.
std::string in_one_line(const Error& error) {
  std::string out;
  const auto& frames = error.frames();
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame)
    out += (out.empty() ? "" : ": ") + *frame;
  return out;
}

}  // namespace

Result<Log> Log::open(const std::string& path, Format format, bool debug) {
  Log log;
  log.format_ = format;
  log.debug_ = debug;
  if (!path.empty())
    log.file_ = TRY(os::open_file(path, O_WRONLY | O_CREAT | O_APPEND, 0644), "--log");
  return log;
}

void Log::write(Level level, std::string_view message) const {
  if (level == Level::debug && !debug_) return;
  std::string line;
  const std::string shown = printable(message, kLongest);
  if (format_ == Format::json)
    line = boost::json::serialize(
        boost::json::object{{"level", name_of(level)}, {"msg", shown}, {"time", now_text()}});
  else
    line = fmt::format("time=\"{}\" level={} msg={}", now_text(), name_of(level),
                       boost::json::serialize(boost::json::value(shown)));
  line += '\n';
  // There is nobody to tell that nothing can be told.
  if (file_.is_open())
    (void)os::write_all(file_, line).has_value();
  else
    std::fputs(line.c_str(), stderr);
}

void Log::fail(const Error& error) const {
  const std::string line = in_one_line(error);
  if (file_.is_open() || format_ == Format::json) write(Level::error, line);
  if (file_.is_open() || format_ == Format::text) {
    std::fprintf(stderr, "error: %s\n", printable(line, kLongest).c_str());
    if (!error.hint_text().empty()) std::fprintf(stderr, "hint: %s\n", error.hint_text().c_str());
  }
}

}  // namespace kist::runtime_cli

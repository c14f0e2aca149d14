#include "containers/status.h"

#include <charconv>

#include "base/text.h"
#include "os/files.h"

namespace kist::containers {
namespace {

constexpr std::string_view kPhases[] = {"created", "running", "paused", "restarting", "exited", "dead"};
constexpr std::string_view kFirstLine = "kist-container-status 1";

template <class F>
void fields(F&& f, Status& s) {
  f("id", s.id);
  f("name", s.name);
  f("image", s.image);
  f("command", s.command);
  f("ports", s.ports);
  f("created", s.created_ns);
  f("phase", s.phase);
  f("pid", s.pid);
  f("pid-start", s.pid_start);
  f("supervisor", s.supervisor);
  f("started", s.started_ns);
  f("finished", s.finished_ns);
  f("exit-code", s.exit_code);
  f("out-of-memory", s.out_of_memory);
  f("memory-peak", s.memory_peak_bytes);
  f("memory-limit", s.memory_limit_bytes);
  f("restarts", s.restart_count);
  f("stopped-by-hand", s.stopped_by_hand);
  f("error", s.error);
  f("health", s.health);
  f("health-failures", s.health_failures);
}

std::string text_of(const std::string& value) { return percent_encode(value); }
std::string text_of(Phase value) { return std::string(name_of(value)); }
template <class T>
  requires std::is_arithmetic_v<T>
std::string text_of(T value) {
  return fmt::format("{}", static_cast<int64_t>(value));
}

bool take(std::string_view text, std::string& value) {
  auto decoded = percent_decode(text);
  if (decoded) value = std::move(*decoded);
  return decoded.has_value();
}
bool take(std::string_view text, Phase& value) {
  for (size_t i = 0; i < std::size(kPhases); ++i) {
    if (text != kPhases[i]) continue;
    value = static_cast<Phase>(i);
    return true;
  }
  return false;
}
bool take(std::string_view text, bool& value) {
  value = text == "1";
  return text == "0" || text == "1";
}
template <class T>
  requires std::is_arithmetic_v<T>
bool take(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string_view name_of(Phase phase) { return kPhases[static_cast<size_t>(phase)]; }

std::string encode(const Status& status) {
  std::string out(kFirstLine);
  out += '\n';
  Status copy = status;
  fields([&](const char* key, auto& value) { out += fmt::format("{} {}\n", key, text_of(value)); }, copy);
  return out;
}

Result<Status> decode_status(std::string_view text) {
  if (!text.starts_with(kFirstLine) || !text.ends_with('\n'))
    return Error(Code::corrupt, "the container's status does not begin with '{}'", kFirstLine);
  Status status;
  size_t at = kFirstLine.size() + 1;
  std::string wrong;
  // Written in this order, so each line is usually the next one.
  fields(
      [&](std::string_view key, auto& value) {
        const size_t end = text.find('\n', std::min(at, text.size()));
        if (end == std::string_view::npos) return;
        const std::string_view line = text.substr(at, end - at);
        if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') return;
        at = end + 1;
        if (!take(line.substr(key.size() + 1), value) && wrong.empty()) wrong = key;
      },
      status);
  if (!wrong.empty() || at != text.size())
    return Error(Code::corrupt, "the container's status: '{}' cannot be read",
                 wrong.empty() ? printable(text.substr(std::min(at, text.size()), 40)) : wrong);
  return status;
}

uint64_t start_of_process(pid_t pid) {
  const auto text = os::read_file(fmt::format("/proc/{}/stat", pid), 4096);
  if (!text) return 0;
  // The name in parentheses may hold anything, so fields are counted from the last ")".
  const size_t end = text->rfind(')');
  if (end == std::string::npos) return 0;
  const auto rest = split(std::string_view(*text).substr(std::min(end + 2, text->size())), ' ');
  constexpr size_t kState = 0;  // Field 3.
  constexpr size_t kStart = 19;  // Field 22.
  if (rest.size() <= kStart || rest[kState] == "Z" || rest[kState] == "X") return 0;
  return parse_number(rest[kStart]).value_or(0);
}

bool process_lives(const Status& status) {
  return status.pid > 0 && status.pid_start != 0 && start_of_process(status.pid) == status.pid_start;
}

}  // namespace kist::containers

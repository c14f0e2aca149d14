// kill, delete, pause, resume, update.
#include <signal.h>

#include "base/text.h"
#include "bundle/spec_reader.h"
#include "os/files.h"
#include "runtime_cli/command.h"

namespace kist::runtime_cli {
namespace {

Result<int> signal_number(const std::string& text) {
  if (const auto number = parse_number(text); number && *number < NSIG)
    return static_cast<int>(*number);
  std::string name = text;
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int number = 1; number < NSIG; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  constexpr std::string_view kFirst = "RTMIN";
  constexpr std::string_view kLast = "RTMAX";
  const auto offset = [&](std::string_view prefix) {
    return name.size() == prefix.size() ? std::optional<uint64_t>(0)
                                        : parse_number(std::string_view(name).substr(prefix.size() + 1));
  };
  if (name.starts_with(kFirst))
    if (const auto add = offset(kFirst); add && SIGRTMIN + static_cast<int>(*add) <= SIGRTMAX)
      return SIGRTMIN + static_cast<int>(*add);
  if (name.starts_with(kLast))
    if (const auto take = offset(kLast); take && SIGRTMAX - static_cast<int>(*take) >= SIGRTMIN)
      return SIGRTMAX - static_cast<int>(*take);
  return Error(Code::invalid, "unknown signal '{}'", printable(text))
      .hint("a number, or a name such as TERM or SIGKILL");
}

template <class T>
Result<void> take(const Arguments& arguments, const char* name, std::optional<T>& out) {
  const std::optional<int64_t> number = TRY(arguments.number(name));
  if (number) out = static_cast<T>(*number);
  return {};
}

// "50M" is 50 times 1024 times 1024, as docker's; "-1" is no limit.
Result<void> take_bytes(const Arguments& arguments, const char* name, std::optional<int64_t>& out) {
  if (!arguments.has(name)) return {};
  const std::string text = arguments.text(name);
  const Error wrong(Code::invalid, "--{}: want bytes, or a size such as 50M, got '{}'", name, printable(text));
  const size_t digits = text.find_first_not_of("0123456789", text.starts_with('-') ? 1 : 0);
  if (digits == std::string::npos) return take(arguments, name, out);
  const auto number = parse_number(std::string_view(text).substr(0, digits));
  const size_t power = std::string_view("bkmgtp").find(static_cast<char>(text[digits] | 0x20));
  const std::string_view rest = std::string_view(text).substr(digits + 1);
  const bool known = rest.empty() || (power > 0 && (rest == "b" || rest == "B" || rest == "ib" || rest == "iB"));
  if (!number || power == std::string_view::npos || !known || *number > (uint64_t{INT64_MAX} >> (10 * power))) return wrong;
  out = static_cast<int64_t>(*number << (10 * power));
  return {};
}

Result<bundle::Resources> resources_of_flags(const Arguments& arguments) {
  bundle::Resources resources;
  if (arguments.has("l3-cache-schema") || arguments.has("mem-bw-schema"))
    return Error(Code::unsupported, "Intel RDT is not supported");
  TRY(take(arguments, "blkio-weight", resources.block_io.weight));
  TRY(take(arguments, "cpu-period", resources.cpu.period_us));
  TRY(take(arguments, "cpu-quota", resources.cpu.quota_us));
  TRY(take(arguments, "cpu-burst", resources.cpu.burst_us));
  TRY(take(arguments, "cpu-share", resources.cpu.shares));
  TRY(take(arguments, "cpu-rt-period", resources.cpu.realtime_period_us));
  TRY(take(arguments, "cpu-rt-runtime", resources.cpu.realtime_runtime_us));
  TRY(take(arguments, "cpu-idle", resources.cpu.idle));
  resources.cpu.cpus = arguments.text("cpuset-cpus");
  resources.cpu.mems = arguments.text("cpuset-mems");
  TRY(take_bytes(arguments, "memory", resources.memory.limit));
  TRY(take_bytes(arguments, "memory-reservation", resources.memory.reservation));
  TRY(take_bytes(arguments, "memory-swap", resources.memory.swap));
  TRY(take(arguments, "pids-limit", resources.pids));
  return resources;
}

Result<std::string> read_input(const std::string& path) {
  if (path != "-") return os::read_file(path, bundle::kMaxConfigBytes);
  const os::Fd input(::dup(0));
  return os::read_all(input, bundle::kMaxConfigBytes);
}

}  // namespace

Result<int> run_kill(const Context& context, const Arguments& arguments) {
  const auto& words = arguments.words();
  const int number = TRY(signal_number(words.size() > 1 ? words[1] : "TERM"));
  TRY(bundle::kill(context.runtime, words[0], number, {.all = arguments.has("all")}));
  return 0;
}

Result<int> run_delete(const Context& context, const Arguments& arguments) {
  TRY(bundle::remove(context.runtime, arguments.words()[0], {.force = arguments.has("force")}));
  return 0;
}

Result<int> run_pause(const Context& context, const Arguments& arguments) {
  TRY(bundle::pause(context.runtime, arguments.words()[0]));
  return 0;
}

Result<int> run_resume(const Context& context, const Arguments& arguments) {
  TRY(bundle::resume(context.runtime, arguments.words()[0]));
  return 0;
}

Result<int> run_update(const Context& context, const Arguments& arguments) {
  bundle::Resources resources;
  if (arguments.has("resources")) {
    const std::string path = arguments.text("resources");
    const std::string bytes = TRY(read_input(path), "--resources");
    resources = TRY(bundle::read_resources(bytes), "'{}'", printable(path));
  } else {
    resources = TRY(resources_of_flags(arguments));
  }
  TRY(bundle::update(context.runtime, arguments.words()[0], resources));
  return 0;
}

}  // namespace kist::runtime_cli

// What a container uses. Where it has no cgroup of its own, by what the kernel says of each of its processes.
#include <unistd.h>

#include "base/text.h"
#include "containers/lifecycle.h"

namespace kist::containers {
namespace {

std::string file_of_process(pid_t pid, const char* name) {
  return os::read_file(fmt::format("/proc/{}/{}", pid, name), 1 << 16).value_or("");
}

uint64_t word(const std::vector<std::string_view>& words, size_t index) {
  return index < words.size() ? parse_number(words[index]).value_or(0) : 0;
}

// utime and stime: fields 14 and 15, counted behind the name, which may have blanks and parentheses in it.
void add_time(pid_t pid, bundle::Usage& out) {
  const std::string text = file_of_process(pid, "stat");
  const size_t name_ends = text.rfind(')');
  if (name_ends == std::string::npos || name_ends + 2 > text.size()) return;
  const auto words = split(std::string_view(text).substr(name_ends + 2), ' ');
  constexpr size_t kUserTime = 11, kSystemTime = 12;
  const uint64_t tick_ns = 1'000'000'000 / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  out.cpu_user_ns += word(words, kUserTime) * tick_ns;
  out.cpu_system_ns += word(words, kSystemTime) * tick_ns;
  out.cpu_total_ns = out.cpu_user_ns + out.cpu_system_ns;
}

void add_memory(pid_t pid, bundle::Usage& out) {
  const std::string text = file_of_process(pid, "statm");
  out.memory_bytes += word(split(text, ' '), 1) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

void add_io(pid_t pid, bundle::Usage& out) {
  const std::string text = file_of_process(pid, "io");
  for (const std::string_view line : lines(text))
    for (const auto& [key, operation] : {std::pair("read_bytes: ", "Read"), std::pair("write_bytes: ", "Write")})
      if (line.starts_with(key))
        out.io_bytes.push_back({0, 0, operation, parse_number(line.substr(std::string_view(key).size())).value_or(0)});
}

}  // namespace

Result<bundle::Usage> usage(const bundle::Runtime& runtime, const Record& record, const Status& status) {
  if (auto known = bundle::usage(runtime, record.id)) return known;
  const auto pids = TRY(processes(runtime, record, status));
  bundle::Usage out;
  for (const pid_t pid : pids) {
    add_time(pid, out);
    add_memory(pid, out);
    add_io(pid, out);
  }
  out.pids = pids.size();
  return out;
}

}  // namespace kist::containers

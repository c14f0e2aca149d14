#include "container_cli/filters.h"

#include <fcntl.h>
#include <regex.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "base/text.h"
#include "containers/log_reader.h"
#include "format/human.h"
#include "os/files.h"

namespace kist::container_cli {
namespace {

bool has_label(const std::map<std::string, std::string>& labels, const std::string& wanted) {
  const size_t equals = wanted.find('=');
  const auto found = labels.find(wanted.substr(0, equals));
  return found != labels.end() && (equals == std::string::npos || found->second == wanted.substr(equals + 1));
}

void add_bytes(const os::Fd& folder, std::set<std::pair<dev_t, ino_t>>& seen, uint64_t& sum, int depth) {
  constexpr int kDeepest = 400;
  const auto names = os::list_folder(fmt::format("/proc/self/fd/{}", folder.get()));
  if (!names || depth > kDeepest) return;
  for (const std::string& name : *names) {
    struct stat st = {};
    if (::fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(st.st_mode)) {
      if (const auto inner = os::open_at(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        add_bytes(*inner, seen, sum, depth + 1);
    } else if (S_ISREG(st.st_mode) && (st.st_nlink < 2 || seen.emplace(st.st_dev, st.st_ino).second)) {
      // Of a file with holes, what it takes.
      sum += std::min<uint64_t>(static_cast<uint64_t>(st.st_size), static_cast<uint64_t>(st.st_blocks) * 512);
    }
  }
}

}  // namespace

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

Result<Filters> filters_of(const cli::Parsed& parsed, std::initializer_list<std::string_view> known) {
  Filters out;
  for (const std::string& text : parsed.values("--filter")) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error(Code::invalid, "--filter: '{}' is not KEY=VALUE", printable(text));
    const std::string key = text.substr(0, equals);
    if (std::find(known.begin(), known.end(), key) == known.end())
      return Error(Code::invalid, "--filter: '{}' is no key, want one of {}", printable(key),
                   fmt::join(std::vector<std::string>(known.begin(), known.end()), ", "));
    out[key].push_back(text.substr(equals + 1));
  }
  return out;
}

bool fits_labels(const Filters& filters, const std::map<std::string, std::string>& labels) {
  const auto wanted = filters.find("label");
  if (wanted != filters.end() && !std::all_of(wanted->second.begin(), wanted->second.end(),
                                              [&](const std::string& v) { return has_label(labels, v); }))
    return false;
  const auto unwanted = filters.find("label!");
  return unwanted == filters.end() || std::none_of(unwanted->second.begin(), unwanted->second.end(),
                                                   [&](const std::string& v) { return has_label(labels, v); });
}

bool matches(const std::string& pattern, const std::string& text) {
  regex_t compiled = {};
  if (::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return text.find(pattern) != std::string::npos;
  const bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found;
}

Result<int64_t> until_of(const Filters& filters) {
  const auto until = filters.find("until");
  if (until == filters.end()) return INT64_MAX;
  const auto time = containers::parse_time(until->second.back(), now_ns());
  if (time) return *time;
  return Error(Code::invalid, "--filter until: '{}' is no time, want for example 2026-01-02T03:04:05Z, or 24h",
               printable(until->second.back()));
}

bool confirm(const cli::Parsed& parsed, cli::Terminal& terminal, std::string_view warning) {
  if (parsed.has("--force")) return true;
  terminal.text(fmt::format("WARNING! {}\nAre you sure you want to continue? [y/N] ", warning));
  (void)terminal.finish().has_value();
  char answer[16] = {};
  const ssize_t got = ::read(0, answer, sizeof answer - 1);
  return got > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

void print_pruned(cli::Terminal& terminal, std::string_view title, const std::vector<std::string>& removed, uint64_t bytes) {
  if (!removed.empty()) {
    terminal.line(fmt::format("{}:", title));
    for (const std::string& one : removed) terminal.line(one);
    terminal.line("");
  }
  terminal.line("Total reclaimed space: " + format::docker_size(bytes));
}

uint64_t bytes_below(const std::string& folder) {
  uint64_t sum = 0;
  std::set<std::pair<dev_t, ino_t>> seen;
  if (const auto top = os::open_file(folder, O_RDONLY | O_DIRECTORY)) add_bytes(*top, seen, sum, 0);
  return sum;
}

}  // namespace kist::container_cli

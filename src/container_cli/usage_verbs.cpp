// top, stats, update
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "base/text.h"
#include "cli/container_verbs.h"
#include "container_cli/record_of.h"
#include "container_cli/table.h"
#include "container_cli/verb.h"
#include "format/human.h"
#include "networks/links.h"
#include "os/child.h"

namespace kist::container_cli {
namespace {

constexpr std::string_view kUsual =
    "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

boost::json::object titles() {
  return {{"ID", "CONTAINER ID"}, {"Container", "CONTAINER"}, {"Name", "NAME"}, {"CPUPerc", "CPU %"},
          {"MemUsage", "MEM USAGE / LIMIT"}, {"MemPerc", "MEM %"}, {"NetIO", "NET I/O"}, {"BlockIO", "BLOCK I/O"},
          {"PIDs", "PIDS"}};
}

struct Sample {
  bundle::Usage usage;
  networks::Traffic traffic;
  int64_t at_ns = 0;
};

Result<Sample> sample(const Here& here, const containers::Status& status) {
  const auto record = TRY(here.place.record(status.id));
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  Sample out;
  out.usage = TRY(containers::usage(here.runtime, record, status));
  // As docker: what all of the host sends and gets is not the container's.
  if (record.network != "host")
    if (auto traffic = networks::traffic_of(status.pid)) out.traffic = *traffic;
  out.at_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  return out;
}

uint64_t sum(const std::vector<bundle::Usage::Io>& all, std::string_view operation) {
  uint64_t out = 0;
  for (const auto& one : all)
    if (to_lower(one.operation) == operation) out += one.value;
  return out;
}

uint64_t host_memory() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

format::ListingRow stats_row(const containers::Status& status, const std::string& given, const Sample& before,
                             const Sample& after, bool whole) {
  const auto& usage = after.usage;
  const double span = static_cast<double>(std::max<int64_t>(after.at_ns - before.at_ns, 1));
  const double cpu = static_cast<double>(usage.cpu_total_ns - std::min(before.usage.cpu_total_ns, usage.cpu_total_ns)) / span * 100;
  const uint64_t all = host_memory();
  const bool is_up = after.at_ns != 0;
  const uint64_t limit = !is_up ? 0 : usage.memory_limit_bytes == 0 || usage.memory_limit_bytes > all ? all : usage.memory_limit_bytes;
  // As docker: what is only cached is not counted.
  const uint64_t memory = usage.memory_bytes - std::min(usage.memory_cache_bytes, usage.memory_bytes);
  format::ListingRow row;
  row.fields = {{"ID", whole ? status.id : status.id.substr(0, 12)},
          {"Container", given},
          {"Name", status.name},
          {"CPUPerc", fmt::format("{:.2f}%", cpu)},
          {"MemUsage", fmt::format("{} / {}", binary_bytes(memory), binary_bytes(limit))},
          {"MemPerc", fmt::format("{:.2f}%", limit == 0 ? 0.0 : static_cast<double>(memory) * 100 / static_cast<double>(limit))},
          {"NetIO", fmt::format("{} / {}", format::docker_size(after.traffic.received_bytes), format::docker_size(after.traffic.sent_bytes))},
          {"BlockIO", fmt::format("{} / {}", format::docker_size(sum(usage.io_bytes, "read")), format::docker_size(sum(usage.io_bytes, "write")))},
          {"PIDs", fmt::format("{}", usage.pids)}};
  return row;
}

struct Measured {
  containers::Status status;
  std::string given;  // How it was named.
};

Result<std::vector<Measured>> measured(const cli::Parsed& parsed, const Here& here) {
  std::vector<Measured> out;
  if (!parsed.positionals().empty()) {
    for (const std::string& name : parsed.positionals()) {
      const auto record = TRY(here.record(name));
      auto status = TRY(here.place.status(record.id));
      out.push_back({std::move(status), name});
    }
    return out;
  }
  const auto ids = TRY(here.place.ids());
  for (const std::string& id : ids)
    if (auto status = here.place.status(id); status && (status->is_alive() || parsed.has("--all")))
      out.push_back({std::move(*status), id.substr(0, 12)});
  return out;
}

}  // namespace

Result<int> stats_verb(const cli::Parsed& parsed, const Here& here) {
  const bool again = !parsed.has("--no-stream");
  std::map<std::string, Sample> before;
  for (bool first = true;; first = false) {
    const auto running = TRY(measured(parsed, here));
    std::vector<format::ListingRow> rows;
    for (const auto& [status, given] : running) {
      // Of what does not run there is nothing to see, as docker shows it.
      const auto now = status.is_alive() ? sample(here, status) : Result<Sample>(Sample());
      if (!now) continue;
      const auto old = before.find(status.id);
      rows.push_back(stats_row(status, given, old == before.end() ? *now : old->second, *now, parsed.has("--no-trunc")));
      before[status.id] = *now;
    }
    // A share of time needs two looks.
    if (!first) {
      if (again && here.terminal.out_is_terminal()) here.terminal.text("\x1b[H\x1b[2J");
      TRY(print_listing({.usual = kUsual, .titles = titles()}, rows, parsed.value("--format"), here.terminal));
      TRY(here.terminal.finish());
      if (!again) return 0;
    }
    ::usleep(first ? 250'000 : 1'000'000);
  }
}

Result<int> top_verb(const cli::Parsed& parsed, const Here& here) {
  const auto record = TRY(here.record(parsed.positionals()[0]));
  const auto status = TRY(here.place.status(record.id));
  const auto pids = TRY(containers::processes(here.runtime, record, status));
  std::vector<std::string> numbers;
  for (const pid_t pid : pids) numbers.push_back(fmt::format("{}", pid));
  std::vector<std::string> args = {"ps"};
  if (parsed.positionals().size() > 1)
    args.insert(args.end(), parsed.positionals().begin() + 1, parsed.positionals().end());
  else
    args.emplace_back("-f");
  args.emplace_back("-p");
  args.push_back(fmt::format("{}", fmt::join(numbers, ",")));
  const os::Output output = TRY(os::run({.args = args, .env = os::current_env()}));
  if (output.status > 1 || (output.status == 1 && !output.err.empty()))
    return Error(Code::invalid, "ps: {}", printable(trim(output.err)));
  here.terminal.text(output.out);
  return 0;
}

Result<int> update_verb(const cli::Parsed& parsed, const Here& here) {
  if (std::none_of(std::begin(cli::container_flags::kUpdate), std::end(cli::container_flags::kUpdate),
                   [&](const cli::FlagSpec& flag) { return parsed.has(flag.name); }))
    return Error(Code::invalid, "you must provide one or more flags when using this command").hint("`kist update --help`");
  return for_each(here, parsed.positionals(), [&](const containers::Record& old) -> Result<void> {
    containers::Record record = old;
    TRY(read_limits(parsed, record.limits));
    if (parsed.has("--restart")) record.restart = TRY(parse_restart(parsed.value("--restart")));
    const auto status = TRY(here.place.status(record.id));
    if (status.is_alive()) {
      containers::SpecHost host;
      host.folder = here.place.folder_of(record.id);
      record.mounts.clear();
      auto spec = TRY(containers::spec_of(record, host));
      record.mounts = old.mounts;
      spec.resources.devices.clear();
      TRY(bundle::update(here.runtime, record.id, spec.resources));
    }
    TRY(here.place.write(record));
    containers::note(here.place, record, "update");
    return {};
  });
}

}  // namespace kist::container_cli

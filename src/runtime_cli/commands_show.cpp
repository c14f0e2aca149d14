// list, ps, state, events.
#include <time.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/text.h"
#include "os/child.h"
#include "runtime_cli/command.h"

namespace kist::runtime_cli {
namespace {

namespace json = boost::json;

Result<bool> wants_json(const Arguments& arguments) {
  const std::string format = arguments.text("format", "table");
  if (format != "table" && format != "json")
    return Error(Code::invalid, "invalid format option '{}': want table or json", printable(format));
  return format == "json";
}

json::object state_json(const bundle::State& state, bool with_owner) {
  json::object out = {{"ociVersion", state.oci_version},
                      {"id", state.id},
                      {"pid", state.pid},
                      {"status", std::string(bundle::name_of(state.status))},
                      {"bundle", state.bundle},
                      {"rootfs", state.root},
                      {"created", state.created}};
  if (!state.annotations.empty()) {
    json::object annotations;
    for (const auto& [name, value] : state.annotations) annotations[name] = value;
    out["annotations"] = std::move(annotations);
  }
  out["owner"] = with_owner ? state.owner : std::string();
  return out;
}

using Row = std::vector<std::string>;

// At least 12 wide, 3 between them, as runc's.
std::string table(const std::vector<Row>& rows) {
  constexpr size_t kLeast = 12;
  constexpr size_t kGap = 3;
  std::vector<size_t> widths(rows[0].size(), kLeast);
  for (const Row& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size() + kGap);
  std::string out;
  for (const Row& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) out += fmt::format("{:<{}}", row[i], widths[i]);
    out += row.back() + "\n";
  }
  return out;
}

Result<std::chrono::milliseconds> interval_of(const Arguments& arguments) {
  const std::string text = arguments.text("interval", "5s");
  const size_t end = text.find_first_not_of("0123456789");
  const auto number = parse_number(text.substr(0, end));
  const std::string unit = end == std::string::npos ? "" : text.substr(end);
  const int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : 0;
  if (!number || factor == 0 || *number == 0)
    return Error(Code::invalid, "--interval: want a time such as 500ms, 5s or 1m, got '{}'",
                 printable(text));
  return std::chrono::milliseconds(static_cast<int64_t>(*number) * factor);
}

json::array io_json(const std::vector<bundle::Usage::Io>& entries) {
  json::array out;
  for (const auto& entry : entries)
    out.push_back(json::object{{"major", entry.major},
                               {"minor", entry.minor},
                               {"op", entry.operation},
                               {"value", entry.value}});
  return out;
}

std::string stats_text(const std::string& id, const bundle::Usage& usage) {
  json::object raw;
  for (const auto& [name, value] : usage.memory_raw) raw[name] = value;
  const json::object data = {
      {"cpu",
       {{"usage",
         {{"total", usage.cpu_total_ns},
          {"percpu", json::array(usage.cpu_per_core_ns.begin(), usage.cpu_per_core_ns.end())},
          {"kernel", usage.cpu_system_ns},
          {"user", usage.cpu_user_ns}}},
        {"throttling",
         {{"periods", usage.periods},
          {"throttledPeriods", usage.throttled_periods},
          {"throttledTime", usage.throttled_ns}}}}},
      {"memory",
       {{"cache", usage.memory_cache_bytes},
        {"usage",
         {{"limit", usage.memory_limit_bytes},
          {"usage", usage.memory_bytes},
          {"max", usage.memory_peak_bytes},
          {"failcnt", usage.memory_failures}}},
        {"swap", {{"usage", usage.memory_swap_bytes}}},
        {"raw", std::move(raw)}}},
      {"pids", {{"current", usage.pids}, {"limit", usage.pids_limit}}},
      {"blkio",
       {{"ioServiceBytesRecursive", io_json(usage.io_bytes)},
        {"ioServicedRecursive", io_json(usage.io_operations)}}}};
  return json::serialize(json::object{{"type", "stats"}, {"id", id}, {"data", data}}) + "\n";
}

void wait_for(std::chrono::milliseconds time) {
  const timespec pause = {.tv_sec = time.count() / 1000,
                          .tv_nsec = time.count() % 1000 * 1'000'000};
  ::nanosleep(&pause, nullptr);
}

}  // namespace

Result<int> run_list(const Context& context, const Arguments& arguments) {
  const bool as_json = TRY(wants_json(arguments));
  const std::vector<bundle::State> states = TRY(bundle::list(context.runtime));
  if (arguments.has("quiet")) {
    std::string out;
    for (const bundle::State& state : states) out += state.id + "\n";
    TRY(print(out));
    return 0;
  }
  if (as_json) {
    json::array all;
    for (const bundle::State& state : states) all.push_back(state_json(state, true));
    TRY(print(states.empty() ? std::string("null") : json::serialize(all)));
    return 0;
  }
  std::vector<Row> rows = {{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
  for (const bundle::State& state : states)
    rows.push_back({state.id, fmt::format("{}", state.pid),
                    std::string(bundle::name_of(state.status)), printable(state.bundle, 4096),
                    state.created, printable(state.owner)});
  TRY(print(table(rows)));
  return 0;
}

Result<int> run_state(const Context& context, const Arguments& arguments) {
  const bundle::State state = TRY(bundle::state(context.runtime, arguments.words()[0]));
  TRY(print(pretty(json::serialize(state_json(state, false)), "  ") + "\n"));
  return 0;
}

Result<int> run_ps(const Context& context, const Arguments& arguments) {
  const bool as_json = TRY(wants_json(arguments));
  const auto& words = arguments.words();
  const std::vector<pid_t> pids = TRY(bundle::processes(context.runtime, words[0]));
  if (as_json) {
    TRY(print(json::serialize(json::array(pids.begin(), pids.end()))));
    return 0;
  }
  os::Command command;
  command.args = {"ps"};
  if (words.size() == 1) command.args.emplace_back("-ef");
  command.args.insert(command.args.end(), words.begin() + 1, words.end());
  command.env = {"PATH=" + context.caller->path};
  const os::Output listed = TRY(os::run(command));
  if (listed.status != 0) return Error(Code::invalid, "ps: {}", printable(trim(listed.err)));
  const auto all = lines(listed.out);
  // Which column has the pid is for ps to say.
  std::vector<std::string_view> heads;
  for (const std::string_view head : split(all.empty() ? "" : all[0], ' '))
    if (!head.empty()) heads.push_back(head);
  const auto column = std::find(heads.begin(), heads.end(), "PID") - heads.begin();
  if (static_cast<size_t>(column) == heads.size())
    return Error(Code::invalid, "ps prints no column PID with these options");
  std::string out(all[0]);
  out += '\n';
  for (size_t i = 1; i < all.size(); ++i) {
    std::vector<std::string_view> fields;
    for (const std::string_view field : split(all[i], ' '))
      if (!field.empty()) fields.push_back(field);
    if (fields.size() <= static_cast<size_t>(column)) continue;
    const auto pid = parse_number(fields[static_cast<size_t>(column)]);
    if (pid && std::find(pids.begin(), pids.end(), static_cast<pid_t>(*pid)) != pids.end())
      out.append(all[i]).append("\n");
  }
  TRY(print(out));
  return 0;
}

Result<int> run_events(const Context& context, const Arguments& arguments) {
  const std::string& id = arguments.words()[0];
  const std::chrono::milliseconds interval = TRY(interval_of(arguments));
  bundle::Usage usage = TRY(bundle::usage(context.runtime, id));
  if (arguments.has("stats")) {
    TRY(print(stats_text(id, usage)));
    return 0;
  }
  // Kills for want of memory are looked for more often than is counted.
  constexpr std::chrono::milliseconds kLook{200};
  uint64_t kills = usage.oom_kills;
  std::chrono::milliseconds since = interval;
  while (true) {
    if (since >= interval) {
      TRY(print(stats_text(id, usage)));
      since = std::chrono::milliseconds(0);
    }
    const auto pause = std::min(kLook, interval);
    wait_for(pause);
    since += pause;
    const auto now = bundle::usage(context.runtime, id);
    if (!now) return 0;  // It has ended.
    usage = *now;
    if (usage.oom_kills > kills)
      TRY(print(json::serialize(json::object{{"type", "oom"}, {"id", id}}) + "\n"));
    kills = usage.oom_kills;
  }
}

}  // namespace kist::runtime_cli

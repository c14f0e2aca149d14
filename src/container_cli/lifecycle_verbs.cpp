// start, stop, restart, kill, wait, rm, pause, unpause, exists, rename, attach
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/text.h"
#include "container_cli/record_of.h"
#include "container_cli/verb.h"

namespace kist::container_cli {
namespace {

using containers::Record;

Result<void> start_one(const Here& here, const Record& record, os::Fd* client = nullptr) {
  const auto image = TRY(image_of(here, record));
  TRY(containers::write_network_files(here.place, record));
  auto context = TRY(start_context(here, record, image, true));
  int exit_code = 0;
  return containers::start_detached(std::move(context), record, exit_code, client);
}

struct StopHow {
  int signal = 0;
  std::optional<int64_t> timeout_s;
};

Result<StopHow> stop_how(const cli::Parsed& parsed) {
  StopHow out;
  if (parsed.has("--signal")) out.signal = TRY(containers::signal_number(parsed.value("--signal")));
  for (const char* flag : {"--time", "--timeout"}) {
    if (!parsed.has(flag)) continue;
    const std::string text = parsed.value(flag);
    const auto number = parse_number(text);
    if (!number && text != "-1") return Error(Code::invalid, "{}: '{}' is no number of seconds", flag, printable(text));
    out.timeout_s = number ? static_cast<int64_t>(*number) : -1;
  }
  return out;
}

Result<void> stop_one(const Here& here, const Record& record, const StopHow& how) {
  return containers::stop(here.place, here.runtime, record, how.signal, how.timeout_s.value_or(record.stop_timeout_s));
}

// The last one made, as podman's --latest.
Result<std::string> latest(const Here& here) {
  const auto ids = TRY(here.place.ids());
  std::optional<containers::Status> last;
  for (const std::string& id : ids)
    if (auto status = here.place.status(id); status && (!last || status->created_ns > last->created_ns)) last = std::move(*status);
  if (!last) return Error(Code::not_found, "--latest: there is no container").hint("`kist ps -a` lists them");
  return last->id;
}

// Of those that are named only these.
Result<void> keep_filtered(const cli::Parsed& parsed, const Here& here, std::vector<std::string>& names) {
  const auto filters = TRY(container_filters(parsed));
  std::vector<std::string> out;
  for (const std::string& name : names) {
    const auto record = TRY(here.record(name));
    const auto status = TRY(here.place.status(record.id));
    const bool fit = TRY(fits_container(here, status, filters));
    if (fit) out.push_back(name);
  }
  names = std::move(out);
  return {};
}

// Those that are named, by a name, --cidfile, --latest, --filter or --all. `fits`: of --all only these.
Result<std::vector<std::string>> chosen(const cli::Parsed& parsed, const Here& here, std::string_view verb,
                                        const std::function<bool(const containers::Status&)>& fits) {
  std::vector<std::string> out = parsed.positionals();
  for (const std::string& path : parsed.values("--cidfile")) {
    const auto text = os::read_file(path, 4096);
    if (!text && parsed.has("--ignore") && text.error().code() == Code::not_found) continue;
    if (!text) return Error(text.error()).context("--cidfile");
    out.emplace_back(trim(*text));
  }
  if (parsed.has("--latest")) {
    std::string id = TRY(latest(here));
    out.push_back(std::move(id));
  }
  const bool filtered = parsed.has("--filter");
  if (filtered && !out.empty()) TRY(keep_filtered(parsed, here, out));
  else if (parsed.has("--all") || filtered) {
    if (!out.empty()) return Error(Code::invalid, "--all: containers are named too");
    const auto ids = TRY(here.place.ids());
    for (const std::string& id : ids)
      if (const auto status = here.place.status(id); status && fits(*status)) out.push_back(id);
    if (filtered) TRY(keep_filtered(parsed, here, out));
  }
  if (parsed.has("--all") || filtered) return out;
  if (out.empty() && parsed.values("--cidfile").empty())
    return Error(Code::invalid, "kist {} needs CONTAINER…", verb).hint(fmt::format("`kist {} --help`", verb));
  if (parsed.has("--ignore")) std::erase_if(out, [&](const std::string& name) { return !here.place.find(name); });
  return out;
}

bool any_state(const containers::Status&) { return true; }
bool is_up(const containers::Status& status) {
  return status.is_alive() || status.phase == containers::Phase::restarting;
}

// Looked at now and then: nobody tells of all these.
int wait_for_state(const Here& here, const Record& record, std::string_view condition) {
  for (;;) {
    const auto status = here.place.status(record.id);
    if (!status) return condition == "removed" ? 0 : -1;
    const bool is_so = condition == "running" ? status->is_alive()
                       : condition == "paused" || condition == "created"
                           ? name_of(status->phase) == condition
                           : status->health == condition && status->is_alive();
    if (is_so) return status->exit_code;
    // It will not come to that any more.
    const bool over = status->phase == containers::Phase::exited && !here.place.is_looked_after(record.id);
    if (over && condition != "removed" && condition != "running") return status->exit_code;
    ::usleep(50'000);
  }
}

}  // namespace

Result<void> remove_container(const Here& here, const Record& record, const containers::RemoveHow& how) {
  TRY(containers::remove(here.place, here.volumes, here.runtime, record, how));
  // Its supervisor has done so, if it was there.
  if (record.is_networked()) networks::detach(here.networks, networks::endpoints_of(here.networks, record.id));
  return {};
}

Error no_terminal() { return Error(Code::invalid, "the input device is not a TTY").hint("leave out -t"); }

Result<int> start_verb(const cli::Parsed& parsed, const Here& here) {
  const bool stay = parsed.has("--attach") || parsed.has("--interactive");
  const auto names = TRY(chosen(parsed, here, "start", [](const auto& status) { return !is_up(status); }));
  if (!stay)
    return for_each(here, names, [&](const Record& record) -> Result<void> {
      // As docker: what runs already is as wanted.
      const auto status = TRY(here.place.status(record.id));
      return status.is_alive() ? Result<void>() : start_one(here, record);
    });
  if (names.size() != 1)
    return Error(Code::invalid, "only one container can be started and attached to");
  const Record record = TRY(here.record(names[0]));
  os::Fd connection;
  TRY(start_one(here, record, &connection));
  return attach(here, record, {.input = parsed.has("--interactive"),
                               .pass_signals = parsed.value("--sig-proxy", "true") != "false",
                               .detach_keys = parsed.value("--detach-keys", "ctrl-p,ctrl-q")}, std::move(connection));
}

Result<int> stop_verb(const cli::Parsed& parsed, const Here& here) {
  const StopHow how = TRY(stop_how(parsed));
  const auto names = TRY(chosen(parsed, here, "stop", is_up));
  return for_each(here, names, [&](const Record& record) { return stop_one(here, record, how); });
}

Result<int> restart_verb(const cli::Parsed& parsed, const Here& here) {
  const StopHow how = TRY(stop_how(parsed));
  const auto names = TRY(chosen(parsed, here, "restart", any_state));
  return for_each(here, names, [&](const Record& record) -> Result<void> {
    TRY(stop_one(here, record, how));
    TRY(start_one(here, record));
    containers::note(here.place, record, "restart");
    return {};
  });
}

Result<int> kill_verb(const cli::Parsed& parsed, const Here& here) {
  const int signal = TRY(containers::signal_number(parsed.value("--signal", "SIGKILL")), "--signal");
  const auto names = TRY(chosen(parsed, here, "kill", is_up));
  return for_each(here, names, [&](const Record& record) {
    return containers::kill(here.place, here.runtime, record, signal);
  });
}

Result<int> wait_verb(const cli::Parsed& parsed, const Here& here) {
  const std::string condition = parsed.value("--condition", "stopped");
  constexpr std::string_view kKnown[] = {"stopped", "exited", "not-running", "next-exit", "running", "paused", "created",
                                         "healthy", "unhealthy", "removed"};
  if (std::find(std::begin(kKnown), std::end(kKnown), condition) == std::end(kKnown))
    return Error(Code::invalid, "--condition: '{}' is not one of {}", printable(condition), fmt::join(kKnown, ", "));
  const bool ended = condition == "stopped" || condition == "exited" || condition == "not-running" || condition == "next-exit";
  int failed = 0;
  for (const std::string& name : parsed.positionals()) {
    const auto status = [&]() -> Result<int> {
      const Record record = TRY(here.record(name));
      if (ended) return containers::wait(here.place, record);
      return wait_for_state(here, record, condition);
    }();
    if (status) here.terminal.line(fmt::format("{}", *status));
    else here.terminal.error(status.error());
    if (!status) failed = 1;
  }
  return failed;
}

Result<int> remove_verb(const cli::Parsed& parsed, const Here& here) {
  const bool force = parsed.has("--force");
  const bool with_volumes = parsed.has("--volumes");
  here.place.sweep();
  const auto names = TRY(chosen(parsed, here, "rm", any_state));
  const StopHow how = TRY(stop_how(parsed));
  const auto remove = [&](const Record& record) -> Result<void> {
    if (force && how.timeout_s) TRY(stop_one(here, record, how));
    return remove_container(here, record, {.force = force, .with_volumes = with_volumes});
  };
  if (!force) return for_each(here, names, remove);
  // As docker: who is not there need not be removed.
  std::vector<std::string> there;
  for (const std::string& name : names)
    if (here.place.find(name)) there.push_back(name);
  return for_each(here, there, remove);
}

Result<int> pause_verb(const cli::Parsed& parsed, const Here& here) {
  const auto names = TRY(chosen(parsed, here, "pause", [](const auto& status) { return status.phase == containers::Phase::running; }));
  return for_each(here, names, [&](const Record& record) {
    return containers::pause(here.place, here.runtime, record, true);
  });
}

Result<int> unpause_verb(const cli::Parsed& parsed, const Here& here) {
  const auto names = TRY(chosen(parsed, here, "unpause", [](const auto& status) { return status.phase == containers::Phase::paused; }));
  return for_each(here, names, [&](const Record& record) {
    return containers::pause(here.place, here.runtime, record, false);
  });
}

Result<int> container_exists_verb(const cli::Parsed& parsed, const Here& here) {
  return exists_status(here.place.find(parsed.positionals()[0]));
}

Result<int> rename_verb(const cli::Parsed& parsed, const Here& here) {
  Record record = TRY(here.record(parsed.positionals()[0]));
  const std::string before = record.name;
  TRY(here.place.rename(record, parsed.positionals()[1]));
  containers::note(here.place, record, "rename", {{"oldName", "/" + before}});
  return 0;
}

Result<int> attach_verb(const cli::Parsed& parsed, const Here& here) {
  const Record record = TRY(here.record(parsed.positionals()[0]));
  const auto status = TRY(here.place.status(record.id));
  if (!status.is_alive())
    return Error(Code::invalid, "container {} is not running", printable(record.name))
        .hint(fmt::format("`kist start -ai {}`", record.name));
  return attach(here, record, {.input = !parsed.has("--no-stdin"),
                               .pass_signals = parsed.value("--sig-proxy", "true") != "false",
                               .detach_keys = parsed.value("--detach-keys", "ctrl-p,ctrl-q")}, {});
}

}  // namespace kist::container_cli

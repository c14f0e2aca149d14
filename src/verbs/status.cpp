// kist status
#include "engine/status.h"

#include "base/text.h"
#include "verbs/json.h"
#include "verbs/project_verbs.h"

namespace kist::verbs {
namespace {

constexpr int kDiffers = 3;

using engine::Status;

const char* state_text(Status::LockState state) {
  switch (state) {
    case Status::LockState::current: return "current";
    case Status::LockState::stale: return "stale";
    case Status::LockState::missing: return "missing";
  }
  return "";
}

void print_json(const Status& status, cli::Terminal& terminal) {
  boost::json::array changed;
  for (const std::string& path : status.changed) changed.push_back(json_text(path));
  terminal.line(json_line(boost::json::object{
      {"project", json_text(status.folder)},
      {"environment", json_text(status.environment)},
      {"input", json_text(status.chosen)},
      {"lock", boost::json::object{{"path", json_text(status.lock_path)},
                                   {"state", state_text(status.lock)},
                                   {"because", json_text(status.stale_because)},
                                   {"changed", std::move(changed)},
                                   {"python_packages", status.python_packages},
                                   {"debian_packages", status.debian_packages},
                                   {"base_image", json_text(status.base_image)},
                                   {"interpreter", json_text(status.interpreter)}}},
      {"assembled", status.is_assembled()},
      {"tree", json_text(status.tree)},
      {"last_run", json_text(status.last_tree)},
      {"drifted", status.has_drifted()},
      {"up_to_date", status.is_up_to_date()}}));
}

void print_text(const Status& status, cli::Terminal& terminal) {
  const auto line = [&](std::string_view what, const std::string& text) {
    terminal.line(fmt::format("{:13}{}", what, text));
  };
  line("project", printable(status.folder));
  if (status.environment != "default") line("environment", printable(status.environment));
  line("input", status.chosen);
  const std::string name = printable(os::name_of(status.lock_path));
  if (status.lock == Status::LockState::missing) {
    line("lock", "missing; `kist lock` makes it");
    return;
  }
  const std::string count =
      status.base_image.empty()
          ? fmt::format("{} Python and {} Debian packages", status.python_packages, status.debian_packages)
          : fmt::format("{} Python packages", status.python_packages);
  if (status.lock == Status::LockState::current) {
    line("lock", fmt::format("{}: current, {}", name, count));
  } else {
    line("lock", fmt::format("{}: stale, {}; `kist lock` renews it", name, status.stale_because));
    for (const std::string& path : status.changed)
      line("", fmt::format("changed: {}", printable(path)));
  }
  if (!status.base_image.empty()) line("base", status.base_image);
  if (!status.interpreter.empty())
    line("interpreter", fmt::format("Python {} of kist.toml", printable(status.interpreter)));
  if (!status.is_assembled())
    line("assembled", "no; `kist run CMD` does it");
  else if (status.has_drifted())
    line("assembled", "yes, but the last run used another environment");
  else
    line("assembled", "yes");
}

}  // namespace

Result<int> status_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal& terminal) {
  const launch::RunRequest request = TRY(request_of(parsed));
  const Status status = TRY(engine::status_of(context, request));
  for (const std::string& warning : status.warnings) context.progress.warn(warning);
  if (parsed.has("--json"))
    print_json(status, terminal);
  else if (!parsed.has("--quiet"))
    print_text(status, terminal);
  return status.is_up_to_date() ? 0 : kDiffers;
}

}  // namespace kist::verbs

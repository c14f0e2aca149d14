// kist lock
#include "engine/lock.h"

#include "base/text.h"
#include "engine/edit_backup.h"
#include "verbs/json.h"
#include "verbs/project_verbs.h"

namespace kist::verbs {
namespace {

void print(const engine::LockOutcome& outcome, const cli::Parsed& parsed,
           const environment::Context& context, cli::Terminal& terminal) {
  if (parsed.has("--json"))
    terminal.line(json_line(boost::json::object{
        {"path", json_text(outcome.path)},
        {"changed", outcome.changed},
        {"platform", json_text(outcome.lock.kist->platform)},
        {"base", json_text(outcome.lock.kist->base)},
        {"python", json_text(outcome.lock.kist->python)},
        {"python_packages", outcome.lock.packages.size()},
        {"debian_packages", outcome.lock.kist->debian.size()}}));
  else if (!outcome.changed)
    context.progress.end(
        "", fmt::format("{} is up to date", printable(os::name_of(outcome.path))));
}

}  // namespace

Result<int> lock_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal) {
  const launch::RunRequest request = TRY(request_of(parsed));
  engine::Project project = TRY(engine::locate(request, context.host));
  const os::FileLock guard = TRY(engine::guard_edits(project));
  python::Inputs inputs = TRY(engine::read_inputs(project, request, context.host));
  for (const std::string& warning : inputs.warnings) context.progress.warn(warning);
  if (parsed.has("--python")) {
    inputs.python = parsed.value("--python");
    inputs.python_from = "--python";
  }
  std::vector<std::string> platforms = parsed.values("--platform");
  if (platforms.empty()) platforms = inputs.settings.platforms;
  if (platforms.empty()) platforms = {""};
  for (const std::string& platform : platforms) {
    engine::Project here = project;
    store::Transaction tx = TRY(context.store.begin());
    const engine::LockOutcome outcome =
        TRY(engine::ensure_lock(context, here, inputs,
                                {.upgrade = parsed.has("--upgrade"),
                                 .upgrade_packages = parsed.values("--upgrade-package"),
                                 .platform = platform,
                                 .only_check = parsed.has("--locked")},
                                tx));
    TRY(std::move(tx).commit());
    print(outcome, parsed, context, terminal);
  }
  return 0;
}

}  // namespace kist::verbs

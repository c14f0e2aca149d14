// kist lock
#include "engine/lock.h"

#include "base/text.h"
#include "engine/edit_backup.h"
#include "engine/keep_finished.h"
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
        {"image", outcome.lock.kist->image ? outcome.lock.kist->image->digest.string() : std::string()},
        {"python", json_text(outcome.lock.kist->python)},
        {"python_packages", outcome.lock.packages.size()},
        {"debian_packages", outcome.lock.kist->debian.size()}}));
  else if (!outcome.changed)
    context.progress.end(
        "", fmt::format("{} is up to date", printable(os::name_of(outcome.path))));
}

// `--upgrade` alone is for all packages, with names for these.
Result<engine::LockOptions> options_of(const cli::Parsed& parsed) {
  engine::LockOptions options{.upgrade_packages = parsed.values("--upgrade-package"),
                              .only_check = parsed.has("--locked")};
  const auto& names = parsed.positionals();
  if (!names.empty() && !parsed.has("--upgrade"))
    return Error(Code::invalid, "kist lock takes no '{}'", printable(names.front()))
        .hint(fmt::format("`kist lock --upgrade {0}` for a newer version of it, `kist add {0}` to ask for it",
                          shell_quote(names.front())));
  for (const std::string& name : names) options.upgrade_packages.push_back(python::normalize_name(name));
  options.upgrade = parsed.has("--upgrade") && names.empty();
  return options;
}

}  // namespace

Result<int> lock_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal) {
  engine::LockOptions options = TRY(options_of(parsed));
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
    options.platform = platform;
    store::Transaction tx = TRY(context.store.begin());
    const engine::LockOutcome outcome =
        TRY(engine::keep_finished(tx, engine::ensure_lock(context, here, inputs, options, tx)));
    TRY(std::move(tx).commit());
    print(outcome, parsed, context, terminal);
  }
  return 0;
}

}  // namespace kist::verbs

#include "verbs/project.h"

#include "base/text.h"
#include "engine/lock.h"
#include "verbs/json.h"

namespace kist::verbs {
namespace {

launch::RunRequest request_of(const cli::Parsed& parsed) {
  launch::RunRequest request;
  request.environment = parsed.value("--env", "default");
  request.from = parsed.value("--from");
  request.project = parsed.value("--project");
  request.offline = parsed.has("--offline");
  return request;
}

Result<int> lock(const cli::Parsed& parsed, const environment::Context& context,
                 cli::Terminal& terminal) {
  const launch::RunRequest request = request_of(parsed);
  engine::Project project = TRY(engine::locate(request, context.host));
  python::Inputs inputs = TRY(engine::read_inputs(project, request, context.host));
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
    if (parsed.has("--json"))
      terminal.line(json_line(boost::json::object{{"path", json_text(outcome.path)},
                                                  {"changed", outcome.changed},
                                                  {"python", outcome.lock.packages.size()},
                                                  {"debian", outcome.lock.kist->debian.size()}}));
    else if (!outcome.changed)
      context.progress.end("", fmt::format("{} is up to date", os::name_of(outcome.path)));
  }
  return 0;
}

}  // namespace

Result<int> project_verb(std::string_view name, const cli::Parsed& parsed,
                         const environment::Context& context, cli::Terminal& terminal) {
  if (name == "lock") return lock(parsed, context, terminal);
  return Error(Code::unsupported, "kist {} is not there yet", name);
}

}  // namespace kist::verbs

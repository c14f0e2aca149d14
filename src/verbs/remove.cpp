// kist remove
#include "base/text.h"
#include "engine/edit.h"
#include "verbs/project_verbs.h"

namespace kist::verbs {

Result<int> remove_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal&) {
  const launch::RunRequest request = TRY(request_of(parsed));
  const engine::EditOutcome outcome = TRY(engine::remove_packages(
      context, request, {.names = parsed.positionals(), .is_system = parsed.has("--system")}));
  for (const std::string& file : outcome.files)
    context.progress.end("", fmt::format("changed {}", printable(file)));
  for (const std::string& name : outcome.staying)
    context.progress.end("", fmt::format("{} stays: something else needs it, `kist why {}` tells what",
                                         printable(name), shell_quote(name)));
  return 0;
}

}  // namespace kist::verbs

// kist add
#include "base/text.h"
#include "engine/edit.h"
#include "verbs/project_verbs.h"

namespace kist::verbs {

Result<int> add_verb(const cli::Parsed& parsed, const environment::Context& context,
                     cli::Terminal&) {
  const launch::RunRequest request = TRY(request_of(parsed));
  const engine::EditOutcome outcome =
      TRY(engine::add_packages(context, request,
                               {.names = parsed.positionals(), .is_system = parsed.has("--system")}));
  for (const std::string& name : outcome.unchanged)
    context.progress.end("", fmt::format("{} is there already", printable(name)));
  for (const std::string& file : outcome.files)
    context.progress.end("", fmt::format("changed {}", printable(file)));
  return 0;
}

}  // namespace kist::verbs

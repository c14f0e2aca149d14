// kist init
#include "base/text.h"
#include "engine/edit.h"
#include "verbs/project_verbs.h"

namespace kist::verbs {

Result<int> init_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal) {
  // Here, not in a project above: that is what init is for.
  std::string folder = parsed.value("--project", context.host.working_dir);
  if (!folder.starts_with("/")) folder = os::join(context.host.working_dir, folder);
  const auto written = TRY(engine::init_project(
      folder, {.is_bare = parsed.has("--bare"), .python = parsed.value("--python")}));
  for (const std::string& name : written) terminal.note(fmt::format("wrote {}", name));
  terminal.note("next: `kist add NAME`, then `kist run CMD`");
  return 0;
}

}  // namespace kist::verbs

// kist diff
#include "base/text.h"
#include "container_cli/verb.h"
#include "containers/changes.h"

namespace kist::container_cli {

Result<int> diff_verb(const cli::Parsed& parsed, const Here& here) {
  const auto record = TRY(here.record(parsed.positionals()[0]));
  const auto print = [&](const containers::ContainerFiles& files) -> Result<void> {
    const auto changes = TRY(containers::changes_of(files));
    for (const auto& change : changes) here.terminal.line(fmt::format("{} {}", change.kind, change.path));
    return here.terminal.finish();
  };
  TRY(with_files(here, record, {.image = true}, print));
  return 0;
}

}  // namespace kist::container_cli

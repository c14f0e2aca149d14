// kist container prune
#include <algorithm>

#include "base/text.h"
#include "container_cli/verb.h"

namespace kist::container_cli {

Result<Pruned> prune_containers(const Here& here, const Filters& filters) {
  const int64_t until = TRY(until_of(filters));
  const auto ids = TRY(here.place.ids());
  Pruned out;
  for (const std::string& id : ids) {
    const auto status = here.place.status(id);
    const auto record = here.place.record(id);
    if (!status || !record) continue;  // Being made, or being removed.
    if (status->is_alive() || status->phase == containers::Phase::restarting || here.place.is_looked_after(id)) continue;
    if (record->created_ns >= until || !fits_labels(filters, record->labels)) continue;
    const uint64_t bytes = bytes_below(here.place.file_of(id, "upper"));
    if (!containers::remove(here.place, here.volumes, here.runtime, *record, {})) continue;
    out.removed.push_back(id);
    out.bytes += bytes;
  }
  return out;
}

Result<int> container_prune_verb(const cli::Parsed& parsed, const Here& here) {
  const Filters filters = TRY(filters_of(parsed, {"label", "label!", "until"}));
  TRY(until_of(filters));
  if (!confirm(parsed, here.terminal, "This will remove all stopped containers.")) return 0;
  const Pruned pruned = TRY(prune_containers(here, filters));
  print_pruned(here.terminal, "Deleted Containers", pruned.removed, pruned.bytes);
  return 0;
}

}  // namespace kist::container_cli

// kist system df
#include <set>

#include "base/text.h"
#include "container_cli/table.h"
#include "container_cli/verb.h"
#include "format/human.h"
#include "images/image_store.h"
#include "images/users.h"
#include "verbs/prune.h"

namespace kist::verbs {
namespace {

using container_cli::Here;

struct Kind {
  std::string name;
  size_t total = 0;
  size_t active = 0;
  uint64_t bytes = 0;
  uint64_t unused_bytes = 0;
};

// A layer that several images have counts once; it can be had back when none of those is used.
Result<Kind> count_images(const environment::Context& context) {
  Kind out{.name = "Images"};
  const auto all = TRY(images::ImageStore(context.store).list());
  std::map<std::string, uint64_t> layers;
  std::set<std::string> needed;
  for (const images::Image& image : all) {
    const auto users = TRY(images::containers_using(context.store, image.tree));
    ++out.total;
    if (!users.empty()) ++out.active;
    for (const images::Layer& layer : image.layers) {
      layers[layer.diff_id.hex()] = layer.content_bytes;
      if (!users.empty()) needed.insert(layer.diff_id.hex());
    }
  }
  for (const auto& [digest, bytes] : layers) {
    out.bytes += bytes;
    if (!needed.contains(digest)) out.unused_bytes += bytes;
  }
  return out;
}

Result<Kind> count_containers(const Here& here) {
  Kind out{.name = "Containers"};
  const auto ids = TRY(here.place.ids());
  for (const std::string& id : ids) {
    const auto status = here.place.status(id);
    if (!status) continue;  // Being made, or being removed.
    const uint64_t bytes = container_cli::bytes_below(here.place.file_of(id, "upper"));
    ++out.total;
    out.bytes += bytes;
    if (status->is_alive()) ++out.active;
    else out.unused_bytes += bytes;
  }
  return out;
}

Result<Kind> count_volumes(const Here& here) {
  Kind out{.name = "Local Volumes"};
  const auto volumes = TRY(here.volumes.list());
  for (const containers::Volume& volume : volumes) {
    const auto users = TRY(containers::users_of(here.place, volume.name));
    const uint64_t bytes =
        volume.bound_folder().empty() ? container_cli::bytes_below(here.volumes.data_path(volume)) : 0;
    ++out.total;
    out.bytes += bytes;
    if (!users.empty()) ++out.active;
    else out.unused_bytes += bytes;
  }
  return out;
}

format::ListingRow row_of(const Kind& kind) {
  // As docker: of nothing there is no share.
  const std::string share =
      kind.bytes == 0 ? std::string() : fmt::format(" ({}%)", kind.unused_bytes * 100 / kind.bytes);
  format::ListingRow row;
  row.fields = {{"Type", kind.name},
          {"TotalCount", fmt::format("{}", kind.total)},
          {"Active", fmt::format("{}", kind.active)},
          {"Size", format::docker_size(kind.bytes)},
          {"Reclaimable", format::docker_size(kind.unused_bytes) + share}};
  return row;
}

}  // namespace

Result<int> system_df(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  if (parsed.has("--verbose")) return system_df_verbose(parsed, context, terminal);
  const Here here = container_cli::here_of(context.host, terminal);
  const Kind images = TRY(count_images(context));
  const Kind containers = TRY(count_containers(here));
  const Kind volumes = TRY(count_volumes(here));
  const format::Listing listing{.usual = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
                                .titles = {{"Type", "TYPE"}, {"TotalCount", "TOTAL"}, {"Active", "ACTIVE"},
                                           {"Size", "SIZE"}, {"Reclaimable", "RECLAIMABLE"}}};
  TRY(container_cli::print_listing(listing, {row_of(images), row_of(containers), row_of(volumes)},
                                   parsed.value("--format"), terminal));
  return 0;
}

}  // namespace kist::verbs

// kist system df -v
#include "base/text.h"
#include "container_cli/inspected.h"
#include "container_cli/table.h"
#include "container_cli/verb.h"
#include "format/human.h"
#include "images/image_store.h"
#include "images/users.h"
#include "verbs/image_verbs.h"
#include "verbs/prune.h"

namespace kist::verbs {
namespace {

using container_cli::Here;
using format::ListingRow;

// What other images have too is shared; the rest goes with the image.
Result<std::vector<ListingRow>> image_rows(const environment::Context& context) {
  const auto all = TRY(images::ImageStore(context.store).list());
  std::map<std::string, size_t> users_of_layer;
  for (const images::Image& image : all)
    for (const images::Layer& layer : image.layers) ++users_of_layer[layer.diff_id.string()];
  std::vector<ListingRow> out;
  for (const images::Image& image : all) {
    uint64_t shared = 0;
    for (const images::Layer& layer : image.layers)
      if (users_of_layer[layer.diff_id.string()] > 1) shared += layer.content_bytes;
    const auto containers = TRY(images::containers_using(context.store, image.tree));
    for (boost::json::object& fields : image_fields(image, context.now_s)) {
      fields["SharedSize"] = format::docker_size(shared);
      fields["UniqueSize"] = format::docker_size(image.size_bytes() - std::min(shared, image.size_bytes()));
      fields["Containers"] = fmt::format("{}", containers.size());
      out.push_back({std::move(fields), {}});
    }
  }
  return out;
}

Result<std::vector<ListingRow>> container_rows(const Here& here) {
  std::vector<ListingRow> out;
  const auto ids = TRY(here.place.ids());
  for (const std::string& id : ids) {
    const auto status = here.place.status(id);
    if (!status) continue;  // Being made, or being removed.
    boost::json::object fields = container_cli::container_fields(here, *status);
    fields["Size"] = format::docker_size(container_cli::bytes_below(here.place.file_of(id, "upper")));
    out.push_back({std::move(fields), {}});
  }
  return out;
}

Result<std::vector<ListingRow>> volume_rows(const Here& here) {
  std::vector<ListingRow> out;
  const auto volumes = TRY(here.volumes.list());
  for (const containers::Volume& volume : volumes) {
    const auto users = TRY(containers::users_of(here.place, volume.name));
    const uint64_t bytes =
        volume.bound_folder().empty() ? container_cli::bytes_below(here.volumes.data_path(volume)) : 0;
    out.push_back({{{"Name", volume.name}, {"Driver", volume.driver}, {"Labels", container_cli::labels_text(volume.labels)},
                    {"Links", fmt::format("{}", users.size())}, {"Mountpoint", here.volumes.data_path(volume)},
                    {"Scope", "local"}, {"Size", format::docker_size(bytes)}},
                   {}});
  }
  return out;
}

boost::json::array fields_of(const std::vector<ListingRow>& rows) {
  boost::json::array out;
  for (const ListingRow& row : rows) out.push_back(row.fields);
  return out;
}

struct Part {
  const char* title;
  std::string_view usual;
  boost::json::object titles;
  std::vector<ListingRow> rows;
};

}  // namespace

Result<int> system_df_verbose(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const Here here = container_cli::here_of(context.host, terminal);
  Part parts[] = {
      {"Images", "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
       {{"Repository", "REPOSITORY"}, {"Tag", "TAG"}, {"ID", "IMAGE ID"}, {"CreatedSince", "CREATED"}, {"Size", "SIZE"},
        {"SharedSize", "SHARED SIZE"}, {"UniqueSize", "UNIQUE SIZE"}, {"Containers", "CONTAINERS"}}, {}},
      {"Containers", "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
       {{"ID", "CONTAINER ID"}, {"Image", "IMAGE"}, {"Command", "COMMAND"}, {"LocalVolumes", "LOCAL VOLUMES"}, {"Size", "SIZE"},
        {"RunningFor", "CREATED"}, {"Status", "STATUS"}, {"Names", "NAMES"}}, {}},
      {"Volumes", "{{.Name}}\t{{.Links}}\t{{.Size}}",
       {{"Name", "VOLUME NAME"}, {"Links", "LINKS"}, {"Size", "SIZE"}}, {}}};
  parts[0].rows = TRY(image_rows(context));
  parts[1].rows = TRY(container_rows(here));
  parts[2].rows = TRY(volume_rows(here));
  if (const std::string shape = parsed.value("--format"); !shape.empty()) {
    boost::json::object all;
    for (const Part& part : parts) all[part.title] = fields_of(part.rows);
    // As docker: one document, whose lists a template may go through.
    if (shape == "json") terminal.line(boost::json::serialize(all));
    else TRY(container_cli::print_inspected({all}, shape, terminal));
    return 0;
  }
  bool first = true;
  for (const Part& part : parts) {
    const std::string_view where = std::string_view(part.title) == "Volumes" ? "Local " : "";
    terminal.text(fmt::format("{}{}{} space usage:\n\n", first ? "" : "\n", where, part.title));
    first = false;
    TRY(container_cli::print_listing({.usual = part.usual, .titles = part.titles}, part.rows, "", terminal));
  }
  return 0;
}

}  // namespace kist::verbs

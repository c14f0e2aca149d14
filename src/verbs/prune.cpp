#include "verbs/prune.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "container_cli/verb.h"
#include "format/human.h"
#include "images/image_store.h"
#include "images/users.h"
#include "verbs/image_verbs.h"

namespace kist::verbs {
namespace {

using container_cli::Filters;

struct PrunedImages {
  std::vector<std::string> lines;  // "untagged: busybox:latest", "deleted: sha256:…"
  uint64_t bytes = 0;
};

// Images without a name; `all`: those too that no container has. What a project stands on stays. Contents go with `kist gc`.
Result<PrunedImages> prune_images(const environment::Context& context, const Filters& filters, bool all) {
  const images::ImageStore store(context.store);
  const int64_t until = TRY(container_cli::until_of(filters));
  const auto found = TRY(store.list());
  PrunedImages out;
  for (const images::Image& image : found) {
    if (!all && !image.names.empty()) continue;
    const auto created = format::parse_time(image.config.created);
    if (until != INT64_MAX && (!created || *created * 1'000'000'000 >= until)) continue;
    if (!container_cli::fits_labels(filters, image.config.run.labels)) continue;
    const auto users = TRY(images::containers_using(context.store, image.tree));
    if (!users.empty()) continue;
    const bool is_base = TRY(images::is_base_of_project(context.store, image.tree));
    if (is_base) continue;
    const auto removed = store.remove(image);
    if (!removed) continue;
    for (const std::string& name : image.names) out.lines.push_back("untagged: " + name);
    for (const std::string& digest : *removed) out.lines.push_back("deleted: " + digest);
    out.bytes += image.size_bytes();
    note_image(context, "delete", image.id, image.names.empty() ? "" : image.names[0]);
  }
  return out;
}

// "dangling=false" is docker's older spelling of --all.
bool wants_all(const cli::Parsed& parsed, const Filters& filters) {
  const auto dangling = filters.find("dangling");
  return parsed.has("--all") ||
         (dangling != filters.end() && (dangling->second.back() == "false" || dangling->second.back() == "0"));
}

Result<int> image_prune(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const Filters filters = TRY(container_cli::filters_of(parsed, {"label", "label!", "until", "dangling"}));
  TRY(container_cli::until_of(filters));
  const bool all = wants_all(parsed, filters);
  if (!container_cli::confirm(parsed, terminal,
                              all ? "This will remove all images without at least one container associated to them."
                                  : "This will remove all dangling images."))
    return 0;
  const PrunedImages pruned = TRY(prune_images(context, filters, all));
  container_cli::print_pruned(terminal, "Deleted Images", pruned.lines, pruned.bytes);
  return 0;
}

std::string system_warning(bool all, bool volumes) {
  std::string out = "This will remove:\n  - all stopped containers\n";
  out += "  - all networks not used by at least one container\n";
  if (volumes) out += "  - all anonymous volumes not used by at least one container\n";
  out += all ? "  - all images without at least one container associated to them\n" : "  - all dangling images\n";
  return out;
}

Result<int> system_prune(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const Filters filters = TRY(container_cli::filters_of(parsed, {"label", "label!", "until"}));
  TRY(container_cli::until_of(filters));
  const bool volumes = parsed.has("--volumes");
  if (volumes && filters.contains("until"))
    return Error(Code::invalid, "the \"until\" filter is not supported with \"--volumes\"");
  if (!container_cli::confirm(parsed, terminal, system_warning(parsed.has("--all"), volumes))) return 0;
  const container_cli::Here here = container_cli::here_of(context.host, terminal);
  const auto print = [&](std::string_view title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    terminal.line(fmt::format("{}:", title));
    for (const std::string& line : lines) terminal.line(line);
    terminal.line("");
  };
  const auto containers = TRY(container_cli::prune_containers(here, filters));
  print("Deleted Containers", containers.removed);
  // Others have no networks of their own.
  container_cli::Pruned networks;
  if (::geteuid() == 0) networks = TRY(container_cli::prune_networks(here, filters));
  print("Deleted Networks", networks.removed);
  container_cli::Pruned emptied;
  if (volumes) emptied = TRY(container_cli::prune_volumes(here, filters, false));
  print("Deleted Volumes", emptied.removed);
  const PrunedImages images = TRY(prune_images(context, filters, parsed.has("--all")));
  print("Deleted Images", images.lines);
  terminal.line("Total reclaimed space: " + format::docker_size(containers.bytes + emptied.bytes + images.bytes));
  return 0;
}

}  // namespace

bool is_prune_verb(std::string_view name) { return name == "image prune" || name == "system prune"; }

Result<int> prune_verb(std::string_view name, const cli::Parsed& parsed, const environment::Context& context,
                       cli::Terminal& terminal) {
  if (name == "image prune") return image_prune(parsed, context, terminal);
  return system_prune(parsed, context, terminal);
}

}  // namespace kist::verbs

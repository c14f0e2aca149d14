// kist history [-q] [--no-trunc] [--human=false] [--format T] IMAGE
#include <algorithm>

#include "base/text.h"
#include "container_cli/table.h"
#include "format/human.h"
#include "verbs/image_verbs.h"
#include "verbs/json.h"

namespace kist::verbs {
namespace {

constexpr size_t kCommandBytes = 45;  // Of what is shown of a command; docker's width.

struct Step {
  const oci::History* history;
  uint64_t size_bytes = 0;
};

// Bottom first; layers that no history tells of come as steps without words.
std::vector<Step> steps_of(const images::Image& image) {
  static const oci::History kUnknown;
  std::vector<Step> steps;
  size_t layer = 0;
  for (const oci::History& step : image.config.history) {
    Step one{.history = &step};
    if (!step.empty_layer && layer < image.layers.size())
      one.size_bytes = image.layers[layer++].content_bytes;
    steps.push_back(one);
  }
  while (layer < image.layers.size())
    steps.push_back({.history = &kUnknown, .size_bytes = image.layers[layer++].content_bytes});
  return steps;
}

std::string shortened(std::string text) {
  std::replace(text.begin(), text.end(), '\t', ' ');
  if (text.size() <= kCommandBytes) return printable(text);
  return printable(text.substr(0, kCommandBytes - 1), kCommandBytes) + "…";
}

boost::json::object object_of(const Step& step, const std::string& id, bool no_trunc, bool is_human,
                              int64_t now_s) {
  const auto created = format::parse_time(step.history->created);
  const std::string& by = step.history->created_by;
  return {{"ID", id},
          {"Comment", json_text(step.history->comment)},
          {"CreatedBy", json_text(no_trunc ? by : shortened(by))},
          {"CreatedAt", json_text(step.history->created)},
          {"CreatedSince", !created   ? "N/A"
                           : is_human ? format::docker_duration(now_s - *created) + " ago"
                                      : step.history->created},
          {"Size", is_human ? format::docker_size(step.size_bytes)
                            : std::to_string(step.size_bytes)}};
}

}  // namespace

Result<int> history_verb(const cli::Parsed& parsed, const environment::Context& context,
                         cli::Terminal& terminal) {
  const images::ImageStore store(context.store);
  const images::Image image = TRY(store.find(parsed.positionals()[0]));
  const bool no_trunc = parsed.has("--no-trunc");
  const bool is_human = !parsed.has("--no-human") && !parsed.off("--human");
  std::vector<Step> steps = steps_of(image);
  std::reverse(steps.begin(), steps.end());
  std::vector<format::ListingRow> rows;
  for (const Step& step : steps) {
    const std::string id = !rows.empty() ? "<missing>"
                           : no_trunc    ? image.id.string()
                                         : short_id(image.id);
    rows.push_back({object_of(step, id, no_trunc, is_human, context.now_s), {}});
  }
  const format::Listing listing{.usual = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
                                .titles = {{"ID", "IMAGE"},
                                           {"CreatedSince", "CREATED"},
                                           {"CreatedAt", "CREATED AT"},
                                           {"CreatedBy", "CREATED BY"},
                                           {"Size", "SIZE"},
                                           {"Comment", "COMMENT"}}};
  const std::string shape = parsed.has("--quiet") && !parsed.has("--format") ? "{{.ID}}" : parsed.value("--format");
  TRY(container_cli::print_listing(listing, rows, shape, terminal));
  return 0;
}

}  // namespace kist::verbs

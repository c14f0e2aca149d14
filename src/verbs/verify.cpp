// kist verify
#include "engine/verify.h"

#include <algorithm>

#include "base/text.h"
#include "verbs/json.h"
#include "verbs/project_verbs.h"

namespace kist::verbs {
namespace {

constexpr int kDiffers = 3;

void print_json(const engine::Verification& result, cli::Terminal& terminal) {
  boost::json::array layers;
  for (const engine::LayerComparison& layer : result.layers)
    layers.push_back(boost::json::object{{"name", json_text(layer.name)},
                                         {"here", json_text(layer.here)},
                                         {"anew", json_text(layer.anew)},
                                         {"damage", json_text(layer.damage)},
                                         {"identical", layer.here == layer.anew}});
  boost::json::array differences;
  for (const auto& difference : result.differences)
    differences.push_back(boost::json::object{{"path", json_text(difference.path)},
                                              {"what", json_text(difference.what)}});
  terminal.line(json_line(boost::json::object{{"identical", result.is_identical()},
                                              {"tree_here", json_text(result.tree_here)},
                                              {"tree_anew", json_text(result.tree_anew)},
                                              {"packages", result.packages},
                                              {"fetched_bytes", result.fetched_bytes},
                                              {"layers", std::move(layers)},
                                              {"difference_count", result.difference_count},
                                              {"differences", std::move(differences)}}));
}

void print_text(const engine::Verification& result, cli::Terminal& terminal) {
  const auto same = static_cast<size_t>(
      std::count_if(result.layers.begin(), result.layers.end(),
                    [](const engine::LayerComparison& layer) { return layer.here == layer.anew; }));
  if (result.is_identical()) {
    terminal.line(fmt::format("identical: {} packages, {} layers, tree {}", result.packages, same,
                              result.tree_here));
    return;
  }
  terminal.line(fmt::format("different: {} of {} layers, {} paths",
                            result.layers.size() - same, result.layers.size(),
                            result.difference_count));
  terminal.line(fmt::format("  tree here {}", result.tree_here));
  terminal.line(fmt::format("  tree anew {}", result.tree_anew));
  bool damaged = false;
  for (const engine::LayerComparison& layer : result.layers) {
    if (layer.here == layer.anew) continue;
    damaged = damaged || !layer.damage.empty();
    terminal.line(fmt::format("  layer {}{}{}", printable(layer.name),
                              layer.damage.empty() ? "" : ": ", layer.damage));
  }
  for (const auto& difference : result.differences)
    terminal.line(fmt::format("  {}: {}", printable(difference.path), difference.what));
  if (result.difference_count > result.differences.size())
    terminal.line(fmt::format("  … and {} more",
                              result.difference_count - result.differences.size()));
  if (damaged) terminal.note("hint: `kist fsck --repair`");
}

int print_digests(const engine::Digests& digests, bool as_json, cli::Terminal& terminal) {
  if (as_json) {
    boost::json::object layers;
    for (const auto& [name, digest] : digests.layers) layers[json_text(name)] = json_text(digest);
    terminal.line(json_line(boost::json::object{{"tree", json_text(digests.tree)},
                                                {"packages", digests.packages},
                                                {"layers", std::move(layers)}}));
    return 0;
  }
  terminal.line(fmt::format("tree {}", digests.tree));
  for (const auto& [name, digest] : digests.layers)
    terminal.line(fmt::format("layer {} {}", printable(name), digest));
  return 0;
}

}  // namespace

Result<int> verify_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal& terminal) {
  const launch::RunRequest request = TRY(request_of(parsed));
  const std::vector<std::string> platforms = parsed.values("--platform");
  const std::string platform = platforms.empty() ? std::string() : platforms.back();
  if (parsed.has("--here")) {
    const engine::Digests here = TRY(engine::digests(context, request, platform));
    return print_digests(here, parsed.has("--json"), terminal);
  }
  const engine::Verification result = TRY(engine::verify(context, request, platform));
  if (parsed.has("--json"))
    print_json(result, terminal);
  else
    print_text(result, terminal);
  return result.is_identical() ? 0 : kDiffers;
}

}  // namespace kist::verbs

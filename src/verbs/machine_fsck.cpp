// kist fsck
#include "base/text.h"
#include "engine/refetch.h"
#include "store/fsck.h"
#include "verbs/json.h"
#include "verbs/machine_verbs.h"

namespace kist::verbs {
namespace {

constexpr size_t kShownDamages = 50;

const char* what_text(store::Damage::What what) {
  switch (what) {
    case store::Damage::What::object: return "object";
    case store::Damage::What::tree: return "tree";
    case store::Damage::What::name: return "name";
  }
  return "";
}

boost::json::array texts(const std::vector<std::string>& list) {
  boost::json::array out;
  for (const std::string& text : list) out.push_back(json_text(text));
  return out;
}

void print_json(const store::FsckReport& report, cli::Terminal& terminal) {
  boost::json::array damages;
  for (const store::Damage& damage : report.damages)
    damages.push_back(boost::json::object{{"what", what_text(damage.what)},
                                          {"path", json_text(damage.path)},
                                          {"reason", json_text(damage.reason)},
                                          {"names", texts(damage.names)},
                                          {"environments", texts(damage.environments)},
                                          {"images", texts(damage.images)},
                                          {"containers", texts(damage.containers)},
                                          {"repaired", damage.is_repaired}});
  terminal.line(json_line(boost::json::object{{"clean", report.is_clean()},
                                              {"objects", report.objects},
                                              {"trees", report.trees},
                                              {"hashed_bytes", report.hashed_bytes},
                                              {"damages", std::move(damages)},
                                              {"removed_names", texts(report.removed_names)},
                                              {"removed_roots", report.removed_roots},
                                              {"refetch_error", json_text(report.refetch_error)}}));
}

void print_text(const store::FsckReport& report, cli::Terminal& terminal) {
  const size_t shown = std::min(report.damages.size(), kShownDamages);
  for (size_t i = 0; i < shown; ++i) {
    const store::Damage& damage = report.damages[i];
    terminal.line(fmt::format("{}{} {}: {}", damage.is_repaired ? "repaired: " : "",
                              what_text(damage.what), printable(damage.path),
                              printable(damage.reason)));
    for (const std::string& name : damage.names)
      terminal.line(fmt::format("  needed by {}", printable(name)));
  }
  if (report.damages.size() > shown)
    terminal.line(fmt::format("… and {} more", report.damages.size() - shown));
  const std::string hashed =
      report.hashed_bytes == 0 ? "" : fmt::format(", {} hashed", human_bytes(report.hashed_bytes));
  terminal.line(fmt::format("{}: {} objects, {} trees{}",
                            report.damages.empty() ? "clean"
                            : report.is_clean()    ? "repaired"
                                                   : fmt::format("{} damaged", report.damages.size()),
                            report.objects, report.trees, hashed));
}

}  // namespace

Result<int> fsck_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal) {
  store::FsckOptions options;
  if (parsed.has("--full")) options.level = store::FsckLevel::full;
  options.is_repair = parsed.has("--repair");
  options.refetch = [&](const std::vector<std::string>&) { return engine::assemble_all(context); };
  const store::FsckReport report =
      TRY(store::check_store(context.store, options, context.workers, context.progress));
  if (parsed.has("--json"))
    print_json(report, terminal);
  else
    print_text(report, terminal);
  if (!report.refetch_error.empty())
    context.progress.warn("not fetched again: " + report.refetch_error);
  if (report.damaged_roots_in_use != 0)
    context.progress.warn(fmt::format("{} damaged roots are in use: stop what runs in them, then "
                                      "`kist fsck --repair`", report.damaged_roots_in_use));
  if (!report.is_clean() && !options.is_repair)
    terminal.note("hint: `kist fsck --repair`");
  return report.is_clean() ? 0 : 1;
}

}  // namespace kist::verbs

// kist gc
#include "base/text.h"
#include "store/gc.h"
#include "verbs/json.h"
#include "verbs/machine_verbs.h"

namespace kist::verbs {
namespace {

void print_json(const store::GcReport& report, bool is_dry_run, cli::Terminal& terminal) {
  boost::json::array names;
  for (const std::string& name : report.names) names.push_back(json_text(name));
  terminal.line(json_line(boost::json::object{{"dry_run", is_dry_run},
                                              {"freed_bytes", report.freed_bytes},
                                              {"objects", report.objects},
                                              {"trees", report.trees},
                                              {"roots", report.roots},
                                              {"roots_in_use", report.roots_in_use},
                                              {"names", std::move(names)}}));
}

}  // namespace

Result<int> gc_verb(const cli::Parsed& parsed, const environment::Context& context,
                    cli::Terminal& terminal) {
  store::GcOptions options;
  options.is_dry_run = parsed.has("--dry-run");
  if (parsed.has("--all")) options.keep_unused_s = 0;
  options.on_wait = [&](const std::vector<std::string>& writers) -> Result<void> {
    context.progress.end("", fmt::format("waiting for {}", printable(fmt::format(
                                                               "{}", fmt::join(writers, ", ")))));
    return {};
  };
  const store::GcReport report = TRY(store::collect_garbage(context.store, options));
  if (parsed.has("--json")) {
    print_json(report, options.is_dry_run, terminal);
    return 0;
  }
  if (options.is_dry_run)
    for (const std::string& name : report.names) terminal.line(printable(name));
  terminal.line(fmt::format("{} {}: {} objects, {} trees, {} roots, {} names",
                            options.is_dry_run ? "would free" : "freed",
                            human_bytes(report.freed_bytes), report.objects, report.trees,
                            report.roots, report.names.size()));
  if (report.roots_in_use != 0)
    terminal.line(fmt::format("kept {} roots that running programs use", report.roots_in_use));
  return 0;
}

}  // namespace kist::verbs

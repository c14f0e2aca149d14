// kist load [-i FILE] [--platform OS/ARCH] [-q]
#include <unistd.h>

#include "base/text.h"
#include "images/load.h"
#include "launch/paths.h"
#include "verbs/image_verbs.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

Result<images::Bundle> open_bundle(const std::string& input, const environment::Context& context) {
  const std::string scratch = context.store.home() + "/staging";
  if (!input.empty() && input != "-")
    return images::Bundle::open(launch::host_path(input, context.host.working_dir), scratch);
  if (::isatty(STDIN_FILENO) == 1)
    return Error(Code::invalid, "requested load from stdin, but stdin is empty")
        .hint("`kist load -i FILE`");
  const os::Fd same(::dup(STDIN_FILENO));
  return images::Bundle::open(same, scratch);
}

}  // namespace

Result<int> load_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal) {
  const std::string input = parsed.value("--input");
  const std::string shown = input.empty() ? "stdin" : printable(input);
  images::LoadOptions options;
  options.platform = TRY(wanted_platform(parsed));
  options.only_platform = parsed.has("--platform");
  const images::Bundle bundle = TRY(open_bundle(input, context), "cannot load '{}'", shown);
  const images::Intake intake = intake_of(context);
  const std::vector<images::Loaded> loaded =
      TRY(images::load(intake, bundle, options), "cannot load '{}'", shown);
  for (const images::Loaded& one : loaded) {
    note_image(context, "load", one.image.id, one.names.empty() ? "" : one.names[0]);
    if (one.names.empty()) terminal.line("Loaded image ID: " + one.image.id.string());
    for (const std::string& name : one.names) terminal.line("Loaded image: " + name);
  }
  return 0;
}

}  // namespace kist::verbs

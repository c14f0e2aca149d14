// kist copy NAME NAME
#include "base/text.h"
#include "verbs/image_verbs.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {

Result<int> copy_image_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  const oci::Reference from = TRY(oci::Reference::parse(parsed.positionals()[0]), "the first NAME");
  const oci::Reference to = TRY(oci::Reference::parse(parsed.positionals()[1]), "the second NAME");
  engine::CopyOptions options{.platform = {}, .referrers = parsed.has("--referrers"), .dry_run = parsed.has("--dry-run")};
  if (parsed.has("--platform")) options.platform = TRY(wanted_platform(parsed));
  const engine::Copied copied = TRY(engine::copy_image(transfer, from, to, options));
  if (options.dry_run) {
    terminal.line("to copy: " + human_bytes(copied.sent_bytes));
    return 0;
  }
  const std::string name = to.digest ? "" : ":" + (to.tag.empty() ? std::string(oci::kDefaultTag) : to.tag);
  terminal.line(fmt::format("{}{}@{}", copied.to, name, copied.digest.string()));
  return 0;
}

}  // namespace kist::verbs

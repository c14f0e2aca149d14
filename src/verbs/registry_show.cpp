// kist tags, kist manifest inspect
#include "base/text.h"
#include "verbs/image_verbs.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {

Result<int> tags_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  const oci::Reference reference = TRY(oci::Reference::parse(parsed.positionals().front()));
  const auto tags = TRY(engine::list_tags(transfer, reference));
  if (parsed.has("--json")) {
    boost::json::array list;
    for (const std::string& tag : tags) list.emplace_back(tag);
    terminal.line(boost::json::serialize(
        boost::json::object{{"Repository", reference.repository_name()}, {"Tags", std::move(list)}}));
    return 0;
  }
  for (const std::string& tag : tags) terminal.line(printable(tag));
  return 0;
}

Result<int> manifest_inspect_verb(const cli::Parsed& parsed, const environment::Context& context,
                                  cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  const oci::Reference reference = TRY(oci::Reference::parse(parsed.positionals().front()));
  const std::string bytes = TRY(engine::read_manifest(transfer, reference));
  // As the registry has it, so that its digest can be checked.
  terminal.text(bytes);
  if (!bytes.ends_with('\n')) terminal.text("\n");
  return 0;
}

}  // namespace kist::verbs

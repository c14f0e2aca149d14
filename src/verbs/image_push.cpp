// kist push IMAGE [NAME]
#include "base/text.h"
#include "verbs/image_verbs.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

const char* words_for(engine::PushedLayer::How how, bool dry_run) {
  switch (how) {
    case engine::PushedLayer::How::mounted: return "Mounted";
    case engine::PushedLayer::How::sent: return dry_run ? "Would be pushed" : "Pushed";
    default: return "Layer already exists";
  }
}

}  // namespace

Result<int> push_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  const std::string& source = parsed.positionals().front();
  const oci::Reference reference = TRY(oci::Reference::parse(parsed.positionals().back()));
  if (reference.digest)
    return Error(Code::invalid, "cannot push a digest reference").hint("write it as `[REGISTRY/]NAME[:TAG]`");
  const images::ImageStore store(context.store);
  const images::Image image = TRY(store.find(source));
  const bool dry_run = parsed.has("--dry-run");
  const engine::Pushed pushed = TRY(engine::push_image(transfer, image, reference, dry_run));
  if (!dry_run) note_image(context, "push", image.id, reference.name());
  const std::string tag = reference.tag.empty() ? std::string(oci::kDefaultTag) : reference.tag;
  if (parsed.has("--json")) {
    boost::json::array layers;
    for (const engine::PushedLayer& layer : pushed.layers)
      layers.push_back(boost::json::object{{"digest", layer.digest.string()}, {"size", layer.size_bytes},
                                           {"state", words_for(layer.how, dry_run)}});
    terminal.line(boost::json::serialize(boost::json::object{{"name", pushed.to + ":" + tag},
                                                             {"digest", pushed.digest.string()},
                                                             {"sent", pushed.sent_bytes},
                                                             {"layers", std::move(layers)}}));
    return 0;
  }
  if (!parsed.has("--quiet")) {
    terminal.line(fmt::format("The push refers to repository [{}]", pushed.to));
    for (const engine::PushedLayer& layer : pushed.layers)
      terminal.line(fmt::format("{}: {}", layer.digest.hex().substr(0, 12), words_for(layer.how, dry_run)));
    if (dry_run) terminal.line(fmt::format("to send: {}", human_bytes(pushed.sent_bytes)));
  }
  if (!dry_run)
    terminal.line(fmt::format("{}: digest: {} size: {}", tag, pushed.digest.string(), pushed.manifest_bytes));
  return 0;
}

}  // namespace kist::verbs

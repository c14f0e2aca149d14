// kist push IMAGE [NAME], kist push --all-tags NAME
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

void show(const engine::Pushed& pushed, const std::string& tag, const cli::Parsed& parsed, cli::Terminal& terminal) {
  const bool dry_run = parsed.has("--dry-run");
  if (parsed.has("--json")) {
    boost::json::array layers;
    for (const engine::PushedLayer& layer : pushed.layers)
      layers.push_back(boost::json::object{{"digest", layer.digest.string()}, {"size", layer.size_bytes},
                                           {"state", words_for(layer.how, dry_run)}});
    terminal.line(boost::json::serialize(boost::json::object{{"name", pushed.to + ":" + tag},
                                                             {"digest", pushed.digest.string()},
                                                             {"sent", pushed.sent_bytes},
                                                             {"layers", std::move(layers)}}));
    return;
  }
  if (!parsed.has("--quiet")) {
    for (const engine::PushedLayer& layer : pushed.layers)
      terminal.line(fmt::format("{}: {}", layer.digest.hex().substr(0, 12), words_for(layer.how, dry_run)));
    if (dry_run) terminal.line(fmt::format("to send: {}", human_bytes(pushed.sent_bytes)));
  }
  if (!dry_run)
    terminal.line(fmt::format("{}: digest: {} size: {}", tag, pushed.digest.string(), pushed.manifest_bytes));
}

struct Target {
  images::Image image;
  oci::Reference reference;
};

// IMAGE under its own name or another; or all that the repository has here.
Result<std::vector<Target>> targets_of(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::ImageStore store(context.store);
  const oci::Reference named = TRY(remote_name(parsed.positionals().back()));
  if (named.digest)
    return Error(Code::invalid, "cannot push a digest reference").hint("write it as `[REGISTRY/]NAME[:TAG]`");
  std::vector<Target> out;
  if (!parsed.has("--all-tags")) {
    images::Image image = TRY(store.find(parsed.positionals().front()));
    if (named.tag.empty() && !parsed.has("--quiet") && !parsed.has("--json"))
      terminal.line(fmt::format("Using default tag: {}", oci::kDefaultTag));
    out.push_back({std::move(image), named});
    return out;
  }
  if (parsed.positionals().size() != 1) return Error(Code::invalid, "--all-tags wants one NAME");
  if (!named.tag.empty()) return Error(Code::invalid, "tag can't be used with --all-tags/-a");
  const std::vector<images::Image> all = TRY(store.list());
  for (const images::Image& image : all)
    for (const std::string& name : image.names) {
      const auto own = oci::Reference::parse(name);
      if (own && own->repository_name() == named.repository_name()) out.push_back({image, *own});
    }
  if (!out.empty()) return out;
  return Error(Code::not_found, "An image does not exist locally with the tag: {}", printable(named.repository_name()))
      .hint("`kist images` lists what there is");
}

}  // namespace

Result<int> push_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const uint64_t rate = TRY(rate_of(parsed));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network,
                                  .bytes_per_second = rate};
  const std::vector<Target> targets = TRY(targets_of(parsed, context, terminal));
  const bool says_where = !parsed.has("--quiet") && !parsed.has("--json");
  for (const Target& target : targets) {
    const bool dry_run = parsed.has("--dry-run");
    const engine::Pushed pushed = TRY(engine::push_image(transfer, target.image, target.reference, dry_run));
    if (!dry_run) note_image(context, "push", target.image.id, target.reference.name());
    if (says_where && &target == &targets.front()) terminal.line(fmt::format("The push refers to repository [{}]", pushed.to));
    show(pushed, target.reference.tag.empty() ? std::string(oci::kDefaultTag) : target.reference.tag, parsed, terminal);
  }
  return 0;
}

}  // namespace kist::verbs

// kist pull NAME…
#include "base/text.h"
#include "engine/remote.h"
#include "verbs/image_verbs.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

Result<void> pull_one(const std::string& name, const engine::Transfer& transfer, const oci::Platform& platform,
                      const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const bool quiet = parsed.has("--quiet");
  const oci::Reference reference = TRY(remote_name(name));
  if (!quiet && reference.tag.empty() && !reference.digest) terminal.line(fmt::format("Using default tag: {}", oci::kDefaultTag));
  const engine::Pulled pulled = TRY(engine::pull_image(transfer, reference, platform, parsed.has("--platform")));
  if (pulled.is_new) note_image(context, "pull", pulled.image.id, reference.name());
  if (!quiet) {
    terminal.line("Digest: " + pulled.digest.string());
    terminal.line(fmt::format("Status: {} {}", pulled.is_new ? "Downloaded newer image for" : "Image is up to date for",
                              reference.digest ? reference.string() : reference.name()));
  }
  terminal.line(reference.digest ? fmt::format("{}@{}", pulled.from, reference.digest->string())
                                 : fmt::format("{}:{}", pulled.from, reference.tag.empty() ? std::string(oci::kDefaultTag) : reference.tag));
  return {};
}

Result<void> preview_one(const std::string& name, const engine::Transfer& transfer, const oci::Platform& platform,
                         cli::Terminal& terminal) {
  const oci::Reference reference = TRY(remote_name(name));
  const engine::Wanted wanted = TRY(engine::preview_pull(transfer, reference, platform));
  for (const engine::Wanted::Layer& layer : wanted.layers)
    terminal.line(fmt::format("{}: {}", layer.digest.hex().substr(0, 12),
                              layer.is_here ? "Already exists" : "Would be pulled, " + human_bytes(layer.size_bytes)));
  terminal.line("Digest: " + wanted.digest.string());
  terminal.line("to fetch: " + human_bytes(wanted.fetch_bytes));
  return {};
}

}  // namespace

Result<int> pull_verb(const cli::Parsed& parsed, const environment::Context& context, cli::Terminal& terminal) {
  const images::Intake intake = intake_of(context);
  registry::Host host = TRY(registry_host(parsed, context));
  const uint64_t rate = TRY(rate_of(parsed));
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network,
                                  .bytes_per_second = rate};
  const oci::Platform platform = TRY(wanted_platform(parsed));
  std::vector<std::string> names = parsed.positionals();
  if (parsed.has("--all-tags")) {
    if (names.size() != 1) return Error(Code::invalid, "--all-tags wants one NAME");
    const oci::Reference reference = TRY(remote_name(names.front()));
    if (!reference.tag.empty() || reference.digest)
      return Error(Code::invalid, "tag can't be used with --all-tags/-a");
    const auto tags = TRY(engine::list_tags(transfer, reference));
    names.clear();
    for (const std::string& tag : tags) names.push_back(reference.repository_name() + ":" + tag);
  }
  if (parsed.has("--dry-run")) {
    for (const std::string& name : names) TRY(preview_one(name, transfer, platform, terminal));
    return 0;
  }
  bool has_image = false;
  for (const std::string& name : names) {
    const auto pulled = pull_one(name, transfer, platform, parsed, context, terminal);
    // Among all tags there may be signatures, charts and other platforms' images.
    const bool is_passed_over = !pulled && parsed.has("--all-tags") &&
                                (pulled.error().code() == Code::unsupported || pulled.error().code() == Code::not_found);
    if (!pulled && !is_passed_over) return pulled.error();
    if (is_passed_over) terminal.note(fmt::format("warning: left out '{}': it is no image for {}", printable(name), platform.string()));
    has_image = has_image || pulled;
  }
  if (!has_image) return Error(Code::not_found, "none of {} tags is an image for {}", names.size(), platform.string());
  return 0;
}

}  // namespace kist::verbs

// What `kist run --image` needs when an image is not ready: it is not here, its root was removed by gc, an
// older kist wrote its ready files, or the registry is to be asked for a newer one.
#include "base/text.h"
#include "environment/root_variant.h"
#include "launch/image.h"
#include "verbs/image_verbs.h"
#include "verbs/registry_verbs.h"

namespace kist::verbs {
namespace {

// Names that lead to no registry are those of images that only this machine has.
bool leads_to_registry(const oci::Reference& reference, const registry::Host& host) {
  const auto conf = registry::read_registries_conf(host);
  return !conf || registry::addresses_of(reference, host, *conf, false).has_value();
}

Result<images::Image> pull(const std::string& name, const cli::Parsed& parsed, const environment::Context& context) {
  const oci::Reference reference = TRY(oci::Reference::parse(name));
  registry::Host host = TRY(registry_host(parsed, context));
  const images::Intake intake = intake_of(context);
  const engine::Transfer transfer{.intake = intake, .host = std::move(host), .network = *context.network};
  const oci::Platform platform = TRY(wanted_platform(parsed));
  engine::Pulled pulled = TRY(engine::pull_image(transfer, reference, platform));
  if (pulled.is_new) note_image(context, "pull", pulled.image.id, reference.name());
  return std::move(pulled.image);
}

Result<images::Image> find_or_pull(const std::string& name, const cli::Parsed& parsed,
                                   const environment::Context& context) {
  const std::string policy = parsed.value("--pull", "missing");
  if (policy == "always") return pull(name, parsed, context);
  auto found = images::ImageStore(context.store).find(name);
  if (found || policy != "missing" || found.error().code() != Code::not_found) return found;
  const auto reference = oci::Reference::parse(name);
  if (!reference || context.offline) return found;
  const auto host = registry_host(parsed, context);
  if (!host || !leads_to_registry(*reference, *host)) return found;
  return pull(name, parsed, context);
}

}  // namespace

Result<int> make_image_ready(const cli::Parsed& parsed, const environment::Context& context) {
  const std::string name = parsed.value("--image");
  const images::Image image = TRY(find_or_pull(name, parsed, context));
  const images::ImageStore store(context.store);
  TRY(store.make_ready(image, {}, environment::variant_of(context)));
  const auto ready = launch::find_image(context.host.kist_home, name);
  if (!ready || !launch::hold_lease(*ready).is_open())
    return Error(Code::unavailable, "the image '{}' cannot be made ready", printable(name)).hint("`kist fsck`");
  return kStartAgain;
}

}  // namespace kist::verbs

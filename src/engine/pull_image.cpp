#include <set>

#include "base/text.h"
#include "engine/image_transfer.h"
#include "engine/remote.h"

namespace kist::engine {
namespace {

Result<std::vector<images::LayerSource>> sources_of(registry::Repository& repository, const oci::Manifest& manifest,
                                                    const oci::ImageConfig& config) {
  if (config.diff_ids.size() != manifest.layers.size())
    return Error(Code::corrupt, "manifest lists {} layers and the configuration {}, want the same number",
                 manifest.layers.size(), config.diff_ids.size());
  std::vector<images::LayerSource> out;
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    const oci::Descriptor& layer = manifest.layers[i];
    const std::string title = layer.digest.hex().substr(0, 12);
    if (!oci::media::is_layer(layer.media_type))
      return Error(Code::unsupported, "layer {} has the media type '{}'", title, printable(layer.media_type));
    out.push_back({.claim = {layer.digest, layer.size_bytes, config.diff_ids[i]},
                   .title = title,
                   .open = {},
                   .open_from = [&repository, digest = layer.digest, size = layer.size_bytes](uint64_t from) -> Result<archive::Source> {
                     return repository.blob(digest, size, from);
                   }});
  }
  return out;
}

Result<void> check_platform(const oci::ImageConfig& config, const oci::Platform& wanted) {
  if (config.platform.os == wanted.os && config.platform.architecture == wanted.architecture) return {};
  return Error(Code::not_found, "the image is for {}, want {}", printable(config.platform.string()), wanted.string());
}

Result<Pulled> pull_from(const Transfer& transfer, const registry::Address& address, const oci::Reference& reference,
                         const oci::Platform& platform, bool only_platform) {
  registry::Session session(address, transfer.host, transfer.network);
  registry::Repository repository(session, options_of(transfer, false));
  const registry::Document named = TRY(repository.manifest(wanted_of(reference)));
  const registry::Document found = TRY(find_manifest(repository, named, platform));
  const images::ImageStore store(transfer.intake.store);
  std::vector<std::string> names;
  // A name by digest alone stands for nothing that could change.
  if (!reference.tag.empty() || !reference.digest) names.push_back(reference.name());
  const std::string from = address.registry + "/" + address.repository;
  const auto known = store.read(found.digest);
  if (known && only_platform) TRY(check_platform(known->config, platform));
  if (known && (names.empty() || store.digest_of(names.front()) == found.digest))
    return Pulled{.image = *known, .digest = named.digest, .is_new = false, .from = from};
  images::NewImage image;
  image.manifest_bytes = found.bytes;
  image.manifest_type = found.media_type;
  image.names = names;
  const oci::Manifest manifest = TRY(oci::parse_manifest(found.bytes, found.media_type));
  if (!oci::media::is_config(manifest.config.media_type))
    return Error(Code::unsupported, "'{}' is an artifact of type '{}', and no image", printable(reference.string()),
                 printable(manifest.artifact_type.empty() ? manifest.config.media_type : manifest.artifact_type))
        .hint(fmt::format("`kist copy {} oci:FOLDER` brings it", printable(reference.string())));
  image.config_bytes = TRY(read_config(repository, manifest.config));
  const oci::ImageConfig config = TRY(oci::parse_image_config(image.config_bytes));
  if (only_platform) TRY(check_platform(config, platform));
  auto layers = TRY(sources_of(repository, manifest, config));
  images::Image taken = TRY(images::take_image(transfer.intake, std::move(image), std::move(layers)));
  return Pulled{.image = std::move(taken), .digest = named.digest, .is_new = true, .from = from};
}

}  // namespace

registry::TransferOptions options_of(const Transfer& transfer, bool for_push) {
  registry::TransferOptions out;
  out.connections = registry::most_connections(transfer.host, for_push).value_or(out.connections);
  if (transfer.bytes_per_second > 0) out.rate = std::make_shared<registry::RateLimit>(transfer.bytes_per_second);
  // Where parts of what comes lie, and where gc looks for what grew old.
  if (for_push) out.notes_folder = os::join(transfer.intake.store.home(), "cache/partial");
  return out;
}

Result<Pulled> pull_image(const Transfer& transfer, const oci::Reference& reference, const oci::Platform& platform,
                          bool only_platform) {
  const auto conf = TRY(registry::read_registries_conf(transfer.host));
  const auto addresses = TRY(registry::addresses_of(reference, transfer.host, conf, false));
  for (const registry::Address& address : addresses) {
    auto pulled = pull_from(transfer, address, reference, platform, only_platform);
    if (pulled) return pulled;
    if (!address.is_mirror) return Error(pulled.error()).context(fmt::format("cannot pull '{}'", printable(reference.string())));
    transfer.intake.progress.warn(fmt::format("the mirror '{}' does not help: {}", printable(address.host), pulled.error().message()));
  }
  return Error(Code::internal, "a name leads to no registry");
}

namespace {

Result<Wanted> preview_from(const Transfer& transfer, const registry::Address& address, const oci::Reference& reference,
                            const oci::Platform& platform) {
  registry::Session session(address, transfer.host, transfer.network);
  registry::Repository repository(session);
  const registry::Document named = TRY(repository.manifest(wanted_of(reference)));
  const registry::Document found = TRY(find_manifest(repository, named, platform));
  const oci::Manifest manifest = TRY(oci::parse_manifest(found.bytes, found.media_type));
  Wanted out{.digest = named.digest, .layers = {}};
  std::set<oci::Digest> counted;
  for (const oci::Descriptor& layer : manifest.layers) {
    const auto known = TRY(images::find_layer(transfer.intake.store, nullptr, layer.digest));
    out.layers.push_back({.digest = layer.digest, .size_bytes = layer.size_bytes, .is_here = known.has_value()});
    if (!known && counted.insert(layer.digest).second) out.fetch_bytes += layer.size_bytes;
  }
  return out;
}

}  // namespace

Result<Wanted> preview_pull(const Transfer& transfer, const oci::Reference& reference, const oci::Platform& platform) {
  const auto conf = TRY(registry::read_registries_conf(transfer.host));
  const auto addresses = TRY(registry::addresses_of(reference, transfer.host, conf, false));
  for (const registry::Address& address : addresses) {
    auto found = preview_from(transfer, address, reference, platform);
    if (found) return found;
    if (!address.is_mirror) return Error(found.error()).context(fmt::format("cannot pull '{}'", printable(reference.string())));
  }
  return Error(Code::internal, "a name leads to no registry");
}

}  // namespace kist::engine

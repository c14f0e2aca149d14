#include "engine/remote.h"

#include "base/text.h"

namespace kist::engine {
namespace {

constexpr int kMostIndexes = 4;

Result<registry::Address> address_of(const Transfer& transfer, const oci::Reference& reference) {
  const auto conf = TRY(registry::read_registries_conf(transfer.host));
  auto addresses = TRY(registry::addresses_of(reference, transfer.host, conf, true));
  return std::move(addresses.front());
}

Error cannot_delete(const oci::Reference& reference, const registry::Address& address, Error error, const oci::Digest& digest) {
  if (error.code() != Code::unsupported && error.code() != Code::invalid) return error;
  if (reference.digest)
    return std::move(error).hint("a registry need not delete; docker's does with REGISTRY_STORAGE_DELETE_ENABLED=true");
  // Some call the tag a digest that is none (400).
  return Error(Code::unsupported, "{}", error.message())
      .hint(fmt::format("this registry deletes no tags; `kist delete {}/{}@{}` deletes the image with all its tags",
                                           address.registry, address.repository, digest.string()));
}

}  // namespace

std::string wanted_of(const oci::Reference& reference) {
  if (reference.digest) return reference.digest->string();
  return reference.tag.empty() ? std::string(oci::kDefaultTag) : reference.tag;
}

// The manifest for the platform, through at most a few indexes within indexes.
Result<registry::Document> find_manifest(registry::Repository& repository, registry::Document found,
                                         const oci::Platform& platform) {
  for (int depth = 0; depth < kMostIndexes; ++depth) {
    const std::string type = oci::media_type_of(found.bytes);
    if (!oci::media::is_index(type.empty() ? found.media_type : type)) return found;
    const oci::Index index = TRY(oci::parse_index(found.bytes, found.media_type));
    const oci::Descriptor* chosen = TRY(images::find_platform(index, platform));
    const oci::Digest wanted = chosen->digest;
    found = TRY(repository.manifest(wanted.string()));
  }
  return Error(Code::invalid, "indexes within indexes, more than {} deep", kMostIndexes);
}

Result<std::string> read_config(registry::Repository& repository, const oci::Descriptor& descriptor) {
  if (descriptor.size_bytes > oci::kMaxDocumentBytes)
    return Error(Code::invalid, "the image's configuration has {}, want at most {}", human_bytes(descriptor.size_bytes),
                 human_bytes(oci::kMaxDocumentBytes));
  const registry::Source source = TRY(repository.blob(descriptor.digest, descriptor.size_bytes));
  std::string out;
  TRY(archive::each_piece(source, [&](std::string_view piece) -> Result<void> {
    out += piece;
    return {};
  }));
  if (oci::Sha256::of(out) != descriptor.digest)
    return Error(Code::corrupt, "the image's configuration has the digest {}, want {}", oci::Sha256::of(out).string(),
                 descriptor.digest.string());
  return out;
}

Result<std::vector<std::string>> list_tags(const Transfer& transfer, const oci::Reference& reference) {
  const registry::Address address = TRY(address_of(transfer, reference));
  registry::Session session(address, transfer.host, transfer.network);
  return registry::Repository(session).tags();
}

Result<std::string> read_manifest(const Transfer& transfer, const oci::Reference& reference) {
  const registry::Address address = TRY(address_of(transfer, reference));
  registry::Session session(address, transfer.host, transfer.network);
  const registry::Document found = TRY(registry::Repository(session).manifest(wanted_of(reference)));
  return found.bytes;
}

Result<Referrers> list_referrers(const Transfer& transfer, const oci::Reference& reference, std::string_view artifact_type) {
  const registry::Address address = TRY(address_of(transfer, reference));
  registry::Session session(address, transfer.host, transfer.network);
  registry::Repository repository(session);
  oci::Digest subject = reference.digest.value_or(oci::Digest(oci::Digest::Bytes{}));
  if (!reference.digest) {
    const registry::Document found = TRY(repository.manifest(wanted_of(reference)));
    subject = found.digest;
  }
  oci::Index index = TRY(repository.referrers(subject, artifact_type));
  return Referrers{.subject = subject, .manifests = std::move(index.manifests)};
}

Result<RemoteImage> look_at_image(const Transfer& transfer, const oci::Reference& reference, const oci::Platform& platform) {
  const registry::Address address = TRY(address_of(transfer, reference));
  registry::Session session(address, transfer.host, transfer.network);
  registry::Repository repository(session);
  const registry::Document named = TRY(repository.manifest(wanted_of(reference)));
  const registry::Document found = TRY(find_manifest(repository, named, platform));
  oci::Manifest manifest = TRY(oci::parse_manifest(found.bytes, found.media_type));
  if (!oci::media::is_config(manifest.config.media_type))
    return Error(Code::unsupported, "'{}' is an artifact of type '{}', and no image", printable(reference.string()),
                 printable(manifest.artifact_type.empty() ? manifest.config.media_type : manifest.artifact_type))
        .hint(fmt::format("`kist manifest inspect {}`", printable(reference.string())));
  std::string config = TRY(read_config(repository, manifest.config));
  return RemoteImage{.name = address.registry + "/" + address.repository, .digest = named.digest,
                     .manifest = std::move(manifest), .config_bytes = std::move(config)};
}

Result<void> delete_remote(const Transfer& transfer, const oci::Reference& reference) {
  const registry::Address address = TRY(address_of(transfer, reference));
  registry::Session session(address, transfer.host, transfer.network);
  registry::Repository repository(session);
  const registry::Document document = TRY(repository.manifest(wanted_of(reference)), "cannot delete '{}'", printable(reference.string()));
  auto done = repository.delete_manifest(wanted_of(reference));
  if (!done)
    return cannot_delete(reference, address, std::move(done).error(), document.digest)
        .context(fmt::format("cannot delete '{}'", printable(reference.string())));
  return reference.digest ? repository.unlist_referrer(document) : Result<void>();
}

}  // namespace kist::engine

#include "engine/manifest_list.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>

#include "base/text.h"
#include "engine/remote.h"
#include "os/files.h"

namespace kist::engine {
namespace {

namespace json = boost::json;

std::string list_path(const std::string& home, const std::string& name) {
  return os::join(home, "images/lists/" + oci::Sha256::of(name).hex());
}

oci::Descriptor described(const images::Image& image) {
  return {.media_type = image.manifest.media_type.empty() ? std::string(oci::media::kManifest) : image.manifest.media_type,
          .digest = image.digest,
          .size_bytes = image.manifest_bytes.size(),
          .annotations = {},
          .platform = image.config.platform};
}

void put(ManifestList& list, oci::Descriptor entry, const std::string& source) {
  std::erase_if(list.index.manifests, [&](const oci::Descriptor& old) {
    return old.digest == entry.digest || (entry.platform && old.platform == entry.platform);
  });
  list.sources[entry.digest.string()] = source;
  list.index.manifests.push_back(std::move(entry));
}

// The name of a part of what `reference` stands for.
std::string by_digest(const oci::Reference& reference, const oci::Digest& digest) {
  return fmt::format("{}@{}", reference.repository_name(), digest.string());
}

Result<void> add_remote(const Transfer& transfer, ManifestList& list, const oci::Reference& reference) {
  const auto conf = TRY(registry::read_registries_conf(transfer.host));
  const auto addresses = TRY(registry::addresses_of(reference, transfer.host, conf, true));
  registry::Session session(addresses.front(), transfer.host, transfer.network);
  registry::Repository repository(session);
  const registry::Document found = TRY(repository.manifest(wanted_of(reference)));
  const std::string own = oci::media_type_of(found.bytes);
  const std::string type = own.empty() ? found.media_type : own;
  if (oci::media::is_index(type)) {
    const oci::Index index = TRY(oci::parse_index(found.bytes, found.media_type));
    for (const oci::Descriptor& entry : index.manifests) put(list, entry, by_digest(reference, entry.digest));
    return {};
  }
  const oci::Manifest manifest = TRY(oci::parse_manifest(found.bytes, found.media_type));
  oci::Descriptor entry{.media_type = type, .digest = found.digest, .size_bytes = found.bytes.size(), .annotations = {}, .platform = {}};
  if (oci::media::is_config(manifest.config.media_type)) {
    const std::string config_bytes = TRY(read_config(repository, manifest.config));
    const oci::ImageConfig config = TRY(oci::parse_image_config(config_bytes));
    entry.platform = config.platform;
  }
  put(list, std::move(entry), reference.string());
  return {};
}

Result<void> push_entry(const Transfer& transfer, const ManifestList& list, const oci::Descriptor& entry,
                        const oci::Reference& target) {
  oci::Reference to = target;
  to.tag.clear();
  to.digest = entry.digest;
  const auto local = images::ImageStore(transfer.intake.store).read(entry.digest);
  if (local) {
    TRY(push_image(transfer, *local, to, false));
    return {};
  }
  const auto source = list.sources.find(entry.digest.string());
  if (source == list.sources.end()) return Error(Code::not_found, "the image {} is not here", entry.digest.string());
  oci::Reference from = TRY(oci::Reference::parse(source->second));
  from.tag.clear();
  from.digest = entry.digest;
  const std::string shown = from.string();
  TRY(copy_images(transfer, {.reference = std::move(from), .shown = shown}, {.reference = to, .shown = to.string()}, {}));
  return {};
}

}  // namespace

Result<ManifestList> read_manifest_list(const std::string& home, const std::string& name) {
  const std::string path = list_path(home, name);
  const auto text = os::read_file(path, oci::kMaxDocumentBytes);
  if (!text && text.error().code() == Code::not_found)
    return Error(Code::not_found, "no such manifest list: {}", printable(name))
        .hint(fmt::format("`kist manifest create {} IMAGE…`", printable(name)));
  if (!text) return text.error();
  boost::system::error_code failed;
  const json::value value = json::parse(*text, failed);
  const auto* index = failed || !value.is_object() ? nullptr : value.get_object().if_contains("index");
  const auto* sources = failed || !value.is_object() ? nullptr : value.get_object().if_contains("sources");
  if (index == nullptr || sources == nullptr || !sources->is_object())
    return Error(Code::corrupt, "'{}' is not a manifest list", printable(path))
        .hint(fmt::format("`kist manifest rm {}`", printable(name)));
  ManifestList out{.name = name, .index = {}, .sources = {}};
  out.index = TRY(oci::parse_index(json::serialize(*index)), "'{}'", printable(path));
  for (const auto& [digest, source] : sources->get_object())
    if (source.is_string()) out.sources[std::string(std::string_view(digest))] = std::string(std::string_view(source.get_string()));
  return out;
}

Result<void> write_manifest_list(const std::string& home, const ManifestList& list) {
  json::object sources;
  for (const auto& [digest, source] : list.sources) sources[digest] = source;
  const json::object whole{{"index", json::parse(oci::encode(list.index))}, {"sources", std::move(sources)}};
  const std::string path = list_path(home, list.name);
  TRY(os::make_folders(os::parent_of(path)));
  return os::write_file_durably(path, json::serialize(whole) + "\n");
}

Result<void> remove_manifest_list(const std::string& home, const std::string& name) {
  if (::unlink(list_path(home, name).c_str()) == 0) return {};
  if (errno == ENOENT) return Error(Code::not_found, "no such manifest list: {}", printable(name));
  return Error::from_errno(errno, "remove the manifest list '{}'", printable(name));
}

Result<void> add_to_list(const Transfer& transfer, ManifestList& list, const std::string& image) {
  const auto local = images::ImageStore(transfer.intake.store).find(image);
  if (local) {
    put(list, described(*local), image);
    return {};
  }
  const oci::Reference reference = TRY(oci::Reference::parse(image));
  auto added = add_remote(transfer, list, reference);
  if (!added && added.error().code() == Code::invalid && reference.registry.empty()) return local.error();
  return added;
}

Result<oci::Descriptor*> find_in_list(ManifestList& list, const std::string& image) {
  const auto reference = oci::Reference::parse(image);
  for (oci::Descriptor& entry : list.index.manifests) {
    const std::string digest = entry.digest.string();
    const std::string& source = list.sources[digest];
    const bool has_digest = image == digest || (reference && reference->digest == entry.digest);
    if (has_digest || source == image) return &entry;
  }
  std::vector<std::string> names;
  for (const auto& [digest, source] : list.sources) names.push_back(source);
  return Error(Code::not_found, "the manifest list {} has no '{}', it has {}", printable(list.name), printable(image),
               names.empty() ? "nothing" : printable(fmt::format("{}", fmt::join(names, ", "))));
}

Result<oci::Digest> push_manifest_list(const Transfer& transfer, const ManifestList& list, const oci::Reference& target) {
  if (list.index.manifests.empty())
    return Error(Code::invalid, "the manifest list {} is empty", printable(list.name))
        .hint(fmt::format("`kist manifest add {} IMAGE`", printable(list.name)));
  for (const oci::Descriptor& entry : list.index.manifests)
    TRY(push_entry(transfer, list, entry, target), "{}", entry.platform ? entry.platform->string() : entry.digest.string());
  const std::string bytes = oci::encode(list.index);
  TRY(push_index(transfer, bytes, target));
  return oci::Sha256::of(bytes);
}

}  // namespace kist::engine

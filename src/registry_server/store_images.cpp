#include "registry_server/store_images.h"

#include <fcntl.h>

#include "os/files.h"
#include "registry_server/names.h"

namespace kist::registry_server {
namespace {

std::optional<oci::Digest> store_digest(const ContentDigest& digest) {
  if (digest.algorithm() != Algorithm::sha256) return std::nullopt;
  auto parsed = oci::Digest::parse_hex(digest.hex());
  return parsed ? std::optional(*parsed) : std::nullopt;
}

BlobSource source_of_text(std::shared_ptr<const images::Image> image, const std::string& text) {
  BlobSource source;
  source.size_bytes = text.size();
  source.copy = [image, &text](uint64_t offset, uint64_t size_bytes, const BlobSource::Write& write) {
    return write(std::string_view(text).substr(offset, size_bytes));
  };
  return source;
}

}  // namespace

Result<std::unique_ptr<StoreImages>> StoreImages::open(const std::string& home) {
  auto opened = TRY(store::Store::open(home, true));
  return std::unique_ptr<StoreImages>(new StoreImages(std::move(opened)));
}

Result<std::shared_ptr<const StoreImages::Repositories>> StoreImages::current() {
  const std::scoped_lock lock(mutex_);
  // Names are set by rename: the folder's time tells of each.
  const auto stamp = os::stamp(os::join(store_.home(), "images/names"));
  if (repositories_ != nullptr && stamp == names_stamp_) return repositories_;
  auto fresh = std::make_shared<Repositories>();
  if (stamp) {
    auto all = TRY(images_.list());
    for (images::Image& one : all) {
      const auto image = std::make_shared<const images::Image>(std::move(one));
      for (const std::string& name : image->names) {
        const size_t colon = name.rfind(':');
        if (colon == std::string::npos) continue;
        const std::string repository = name.substr(0, colon), tag = name.substr(colon + 1);
        if (!is_repository_name(repository) || !is_tag(tag)) continue;
        (*fresh)[repository].tags.insert_or_assign(tag, image->digest);
        (*fresh)[repository].images.emplace(image->digest, image);
      }
    }
  }
  names_stamp_ = stamp;
  repositories_ = fresh;
  return repositories_;
}

Result<std::optional<ContentDigest>> StoreImages::tag(const std::string& repository, const std::string& tag) {
  const auto all = TRY(current());
  const auto at = all->find(repository);
  if (at == all->end()) return std::nullopt;
  const auto found = at->second.tags.find(tag);
  if (found == at->second.tags.end()) return std::nullopt;
  return TRY(ContentDigest::parse(found->second.string()));
}

Result<std::optional<LocalManifest>> StoreImages::manifest(const std::string& repository, const ContentDigest& digest) {
  const auto all = TRY(current());
  const auto at = all->find(repository);
  const auto wanted = store_digest(digest);
  if (at == all->end() || !wanted) return std::nullopt;
  const auto found = at->second.images.find(*wanted);
  if (found == at->second.images.end()) return std::nullopt;
  const images::Image& image = *found->second;
  const std::string& type = image.manifest.media_type;
  return LocalManifest{type.empty() ? std::string(oci::media::kManifest) : type, image.manifest_bytes};
}

Result<BlobSource> StoreImages::layer_source(std::shared_ptr<const images::Image> image, const images::Layer& layer) const {
  BlobSource source;
  source.size_bytes = layer.size_bytes;
  const auto path = TRY(images::blob_path(store_, layer));
  if (path) {
    os::Fd file = TRY(os::open_file(*path, O_RDONLY));
    source.file = std::make_shared<const os::Fd>(std::move(file));
    return source;
  }
  // A plain tar is not kept as one: it is written again, and checked, each time.
  source.copy = [this, image = std::move(image), &layer](uint64_t offset, uint64_t size_bytes, const BlobSource::Write& write) {
    uint64_t position = 0;
    return images::write_blob(store_, layer, [&](std::string_view piece) -> Result<void> {
      const uint64_t begin = std::max(position, offset);
      const uint64_t end = std::min(position + piece.size(), offset + size_bytes);
      const uint64_t at = position;
      position += piece.size();
      return begin < end ? write(piece.substr(begin - at, end - begin)) : Result<void>();
    });
  };
  return source;
}

Result<std::optional<BlobSource>> StoreImages::blob(const std::string& repository, const ContentDigest& digest) {
  const auto all = TRY(current());
  const auto at = all->find(repository);
  const auto wanted = store_digest(digest);
  if (at == all->end() || !wanted) return std::nullopt;
  for (const auto& [manifest, image] : at->second.images) {
    if (manifest == *wanted) return source_of_text(image, image->manifest_bytes);
    if (image->id == *wanted) return source_of_text(image, image->config_bytes);
    for (const images::Layer& layer : image->layers) {
      if (layer.digest != *wanted) continue;
      return TRY(layer_source(image, layer));
    }
  }
  return std::nullopt;
}

Result<std::vector<std::string>> StoreImages::tags(const std::string& repository) {
  const auto all = TRY(current());
  std::vector<std::string> names;
  if (const auto at = all->find(repository); at != all->end())
    for (const auto& [tag, digest] : at->second.tags) names.push_back(tag);
  return names;
}

Result<std::vector<std::string>> StoreImages::repositories() {
  const auto all = TRY(current());
  std::vector<std::string> names;
  for (const auto& [name, repository] : *all) names.push_back(name);
  return names;
}

}  // namespace kist::registry_server

#include "images/save.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "images/layout.h"
#include "images/tar_file.h"

namespace kist::images {
namespace {

namespace json = boost::json;

std::string blob_path(const oci::Digest& digest) { return "blobs/sha256/" + digest.hex(); }

std::string index_of(std::span<const SaveItem> items, const SaveOptions& options) {
  oci::Index index;
  index.media_type = std::string(oci::media::kIndex);
  if (options.since != nullptr) index.annotations[kSinceAnnotation] = options.since->digest.string();
  for (const SaveItem& item : items) {
    oci::Descriptor descriptor{.media_type = item.image->manifest.media_type.empty()
                                                 ? std::string(oci::media::kManifest)
                                                 : item.image->manifest.media_type,
                               .digest = item.image->digest,
                               .size_bytes = item.image->manifest_bytes.size(),
                               .annotations = {},
                               .platform = item.image->config.platform};
    if (item.names.empty()) index.manifests.push_back(descriptor);
    for (const std::string& name : item.names) {
      descriptor.annotations = {{kContainerdName, name}, {kRefName, name}};
      index.manifests.push_back(descriptor);
    }
  }
  return oci::encode(index);
}

bool has_layer(const Image* image, const oci::Digest& digest) {
  if (image == nullptr) return false;
  return std::any_of(image->layers.begin(), image->layers.end(), [&](const Layer& one) { return one.digest == digest; });
}

Result<void> save_oci(const store::Store& store, std::span<const SaveItem> items, const SaveOptions& options,
                      TarFile& tar) {
  TRY(tar.add("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  TRY(tar.add("index.json", index_of(items, options)));
  for (const char* folder : {"blobs", "blobs/sha256"}) TRY(tar.add_folder(folder));
  for (const SaveItem& item : items) {
    const Image& image = *item.image;
    TRY(tar.add(blob_path(image.digest), image.manifest_bytes));
    TRY(tar.add(blob_path(image.id), image.config_bytes));
    for (const Layer& layer : image.layers) {
      if (has_layer(options.since, layer.digest)) continue;
      const bool is_new = TRY(tar.begin(blob_path(layer.digest), layer.size_bytes));
      if (!is_new) continue;
      TRY(write_blob(store, layer, [&](std::string_view bytes) { return tar.write(bytes); }));
      TRY(tar.end());
    }
  }
  return tar.finish();
}

std::string saved_json(std::span<const SaveItem> items) {
  json::array out;
  for (const SaveItem& item : items) {
    json::array layers;
    for (const Layer& layer : item.image->layers) layers.emplace_back(layer.diff_id.hex() + ".tar");
    json::array tags;
    for (const std::string& name : item.names) tags.emplace_back(name);
    out.push_back(json::object{{"Config", item.image->id.hex() + ".json"},
                               {"RepoTags", std::move(tags)},
                               {"Layers", std::move(layers)}});
  }
  return json::serialize(out);
}

Result<void> save_docker(const store::Store& store, std::span<const SaveItem> items, TarFile& tar) {
  TRY(tar.add("manifest.json", saved_json(items)));
  for (const SaveItem& item : items) {
    TRY(tar.add(item.image->id.hex() + ".json", item.image->config_bytes));
    for (const Layer& layer : item.image->layers) {
      const bool is_new = TRY(tar.begin(layer.diff_id.hex() + ".tar", layer.tar_bytes));
      if (!is_new) continue;
      TRY(write_plain(store, layer, [&](std::string_view bytes) { return tar.write(bytes); }));
      TRY(tar.end());
    }
  }
  return tar.finish();
}

}  // namespace

Result<void> save(const store::Store& store, std::span<const SaveItem> items, const SaveOptions& options,
                  const store::Output& output) {
  TarFile tar(output);
  return options.format == SaveFormat::oci ? save_oci(store, items, options, tar) : save_docker(store, items, tar);
}

}  // namespace kist::images

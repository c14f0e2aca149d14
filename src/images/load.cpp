#include "images/load.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "images/layout.h"
#include "images/save.h"

namespace kist::images {
namespace {

namespace json = boost::json;

constexpr int kMaxDepth = 4;
constexpr size_t kMaxImages = 10'000;

std::string blob_path(const oci::Digest& digest) { return "blobs/sha256/" + digest.hex(); }

std::string short_name(const oci::Digest& digest) { return digest.hex().substr(0, 12); }

// What a layout says an image is called; what is no name of an image names nothing.
std::vector<std::string> names_of(const oci::Descriptor& descriptor, const LoadOptions& options) {
  for (const char* key : {kContainerdName, kRefName}) {
    const auto found = descriptor.annotations.find(key);
    if (found == descriptor.annotations.end()) continue;
    const auto reference = oci::Reference::parse(found->second, options.default_registry);
    if (reference) return {reference->name()};
  }
  return {};
}

bool fits(const oci::ImageConfig& config, const oci::Platform& platform) {
  return config.platform.os == platform.os && config.platform.architecture == platform.architecture;
}

class LayoutLoader {
 public:
  LayoutLoader(const Intake& intake, const Bundle& bundle, const LoadOptions& options)
      : intake_(intake), bundle_(bundle), options_(options) {}

  Result<std::vector<Loaded>> run() {
    const std::string bytes = TRY(bundle_.read_member("index.json", oci::kMaxDocumentBytes));
    const oci::Index index = TRY(oci::parse_index(bytes), "index.json");
    if (const auto since = index.annotations.find(kSinceAnnotation); since != index.annotations.end())
      since_ = since->second;
    for (const oci::Descriptor& entry : index.manifests)
      TRY(load_entry(entry, names_of(entry, options_), 0));
    if (!images_.empty()) return std::move(images_);
    return Error(Code::not_found, "no image for {} in {} entries of index.json",
                 options_.platform.string(), index.manifests.size());
  }

 private:
  Result<void> load_entry(const oci::Descriptor& entry, std::vector<std::string> names, int depth) {
    if (depth > kMaxDepth)
      return Error(Code::invalid, "indexes within indexes, more than {} deep", kMaxDepth);
    if (images_.size() >= kMaxImages)
      return Error(Code::invalid, "more than {} images in one archive", kMaxImages);
    if (oci::media::is_index(entry.media_type)) {
      const std::string bytes = TRY(read_blob(entry), "image index");
      const oci::Index index = TRY(oci::parse_index(bytes, entry.media_type));
      const oci::Descriptor* const chosen = choose_platform(index, options_.platform);
      return chosen == nullptr ? Result<void>() : load_entry(*chosen, std::move(names), depth + 1);
    }
    if (!oci::media::is_manifest(entry.media_type)) return {};
    const std::string bytes = TRY(read_blob(entry), "manifest");
    const oci::Manifest manifest = TRY(oci::parse_manifest(bytes, entry.media_type));
    // Signatures, attestations and other artifacts are no images.
    if (!oci::media::is_config(manifest.config.media_type)) return {};
    if (options_.only_platform) {
      const std::string config_bytes = TRY(read_blob(manifest.config), "image configuration");
      const oci::ImageConfig config = TRY(oci::parse_image_config(config_bytes));
      if (!fits(config, options_.platform)) return {};
    }
    return load_image(bytes, manifest, std::move(names));
  }

  Result<void> load_image(const std::string& bytes, const oci::Manifest& manifest,
                          std::vector<std::string> names) {
    NewImage image;
    image.manifest_bytes = bytes;
    image.config_bytes = TRY(read_blob(manifest.config), "image configuration");
    image.names = std::move(names);
    const oci::ImageConfig config = TRY(oci::parse_image_config(image.config_bytes));
    if (config.diff_ids.size() != manifest.layers.size())
      return Error(Code::corrupt,
                   "manifest lists {} layers and the configuration {}, want the same number",
                   manifest.layers.size(), config.diff_ids.size());
    std::vector<LayerSource> layers;
    for (size_t i = 0; i < manifest.layers.size(); ++i) {
      const oci::Descriptor& layer = manifest.layers[i];
      if (!oci::media::is_layer(layer.media_type))
        return Error(Code::unsupported, "layer {} has the media type '{}'",
                     short_name(layer.digest), printable(layer.media_type));
      layers.push_back({.claim = {layer.digest, layer.size_bytes, config.diff_ids[i]},
                        .title = short_name(layer.digest),
                        .open = [this, digest = layer.digest] { return open_layer(digest); }});
    }
    std::vector<std::string> given = image.names;
    Image added = TRY(take_image(intake_, std::move(image), std::move(layers)));
    images_.push_back({std::move(added), std::move(given)});
    return {};
  }

  Result<archive::Source> open_layer(const oci::Digest& digest) const {
    auto opened = bundle_.open_member(blob_path(digest));
    if (opened || since_.empty() || opened.error().code() != Code::not_found) return opened;
    return Error(Code::not_found, "this archive has only what is new since the image {}, which is not here",
                 printable(since_))
        .hint("load the archive of that image first");
  }

  Result<std::string> read_blob(const oci::Descriptor& descriptor) const {
    std::string bytes =
        TRY(bundle_.read_member(blob_path(descriptor.digest), oci::kMaxDocumentBytes));
    const oci::Digest got = oci::Sha256::of(bytes);
    if (got == descriptor.digest && bytes.size() == descriptor.size_bytes) return bytes;
    return Error(Code::corrupt, "'{}' has {} bytes and the digest {}, want {} and {}",
                 blob_path(descriptor.digest), bytes.size(), got.string(), descriptor.size_bytes,
                 descriptor.digest.string());
  }

  const Intake& intake_;
  const Bundle& bundle_;
  const LoadOptions& options_;
  std::vector<Loaded> images_;
  std::string since_;  // The image whose layers the archive leaves out; mostly empty.
};

// One element of docker's manifest.json.
struct SavedImage {
  std::string config;
  std::vector<std::string> tags;
  std::vector<std::string> layers;
};

Error wrong_field(std::string_view field) {
  return Error(Code::corrupt, "manifest.json: field '{}' is missing or of the wrong kind", field);
}

Result<std::vector<std::string>> texts_of(const json::object& object, std::string_view key) {
  std::vector<std::string> out;
  const json::value* const value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || value->is_null()) return out;
  if (!value->is_array() || value->get_array().size() > oci::kMaxLayers) return wrong_field(key);
  for (const json::value& item : value->get_array()) {
    if (!item.is_string()) return wrong_field(key);
    out.emplace_back(std::string_view(item.get_string()));
  }
  return out;
}

Result<std::vector<SavedImage>> parse_saved(std::string_view text) {
  boost::system::error_code failed;
  const json::value value = json::parse({text.data(), text.size()}, failed);
  if (failed || !value.is_array() || value.get_array().size() > kMaxImages)
    return Error(Code::corrupt, "manifest.json is not a list of images");
  std::vector<SavedImage> out;
  for (const json::value& item : value.get_array()) {
    if (!item.is_object()) return Error(Code::corrupt, "manifest.json is not a list of objects");
    const json::value* const config = item.get_object().if_contains("Config");
    if (config == nullptr || !config->is_string()) return wrong_field("Config");
    SavedImage image;
    image.config = std::string(std::string_view(config->get_string()));
    image.tags = TRY(texts_of(item.get_object(), "RepoTags"));
    image.layers = TRY(texts_of(item.get_object(), "Layers"));
    out.push_back(std::move(image));
  }
  return out;
}

// A plain member is its own tar, so that a layer in the store need not be read.
Result<LayerSource> saved_layer(const Bundle& bundle, const std::string& member,
                                const oci::Digest& diff_id) {
  archive::Source start = TRY(bundle.open_member(member));
  const std::string magic = TRY(archive::peek(start, 6));
  LayerClaim claim{.digest = {}, .size_bytes = {}, .diff_id = diff_id};
  if (archive::detect_filter(magic) == archive::TarFilter::none) claim.digest = diff_id;
  return LayerSource{.claim = claim,
                     .title = short_name(diff_id),
                     .open = [&bundle, member] { return bundle.open_member(member); }};
}

Result<Loaded> load_saved(const Intake& intake, const Bundle& bundle, const SavedImage& saved,
                         const LoadOptions& options) {
  std::string config_bytes = TRY(bundle.read_member(saved.config, oci::kMaxDocumentBytes));
  const oci::ImageConfig config = TRY(oci::parse_image_config(config_bytes));
  if (config.diff_ids.size() != saved.layers.size())
    return Error(Code::corrupt,
                 "manifest.json lists {} layers and the configuration {}, want the same number",
                 saved.layers.size(), config.diff_ids.size());
  std::vector<LayerSource> layers;
  for (size_t i = 0; i < saved.layers.size(); ++i) {
    LayerSource layer = TRY(saved_layer(bundle, saved.layers[i], config.diff_ids[i]));
    layers.push_back(std::move(layer));
  }
  std::vector<std::string> names;
  for (const std::string& tag : saved.tags) {
    const oci::Reference reference = TRY(oci::Reference::parse(tag, options.default_registry));
    names.push_back(reference.name());
  }
  Image image = TRY(take_bare_image(intake, std::move(config_bytes), names, std::move(layers)));
  return Loaded{.image = std::move(image), .names = std::move(names)};
}

}  // namespace

Result<std::vector<Loaded>> load(const Intake& intake, const Bundle& bundle,
                                const LoadOptions& options) {
  if (bundle.has("index.json")) return LayoutLoader(intake, bundle, options).run();
  if (!bundle.has("manifest.json"))
    return Error(Code::not_found, "neither index.json (OCI) nor manifest.json (docker) in it")
        .hint("`kist import` takes the tar of a root file system");
  const std::string text = TRY(bundle.read_member("manifest.json", oci::kMaxDocumentBytes));
  const std::vector<SavedImage> saved = TRY(parse_saved(text));
  std::vector<Loaded> images;
  for (const SavedImage& one : saved) {
    if (options.only_platform) {
      const std::string config_bytes = TRY(bundle.read_member(one.config, oci::kMaxDocumentBytes));
      const oci::ImageConfig config = TRY(oci::parse_image_config(config_bytes));
      if (!fits(config, options.platform)) continue;
    }
    Loaded image = TRY(load_saved(intake, bundle, one, options));
    images.push_back(std::move(image));
  }
  if (images.empty() && !saved.empty())
    return Error(Code::not_found, "no image for {} in {} entries of manifest.json", options.platform.string(), saved.size());
  if (images.empty()) return Error(Code::not_found, "manifest.json lists no image");
  return images;
}

}  // namespace kist::images

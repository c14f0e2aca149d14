#include "images/intake.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/text.h"
#include "images/fetch_layer.h"

namespace kist::images {
namespace {

constexpr std::string_view kPhase = "unpacking";
// What is smaller has come again sooner than it is found.
constexpr uint64_t kLeastPartBytes = 4u << 20;

// Tells how much was read, a megabyte at a time.
archive::Source count(archive::Source source, Progress& progress) {
  return [source = std::move(source), &progress, pending = uint64_t{0}]() mutable
         -> Result<std::string_view> {
    auto piece = source();
    if (piece) pending += piece->size();
    if (!piece || piece->empty() || pending > (1u << 20)) {
      progress.advance(kPhase, 0, pending);
      pending = 0;
    }
    return piece;
  };
}

Result<std::optional<Layer>> find_known(const Intake& intake, const store::Transaction& tx,
                                        const LayerClaim& claim) {
  if (!claim.digest) return std::optional<Layer>();
  auto known = TRY(find_layer(intake.store, &tx, *claim.digest));
  // A digest has one diff id; a configuration that says another is refused by who compares.
  return known;
}

// `kept`: how much of it an earlier try left.
Result<Layer> take_layer(const Intake& intake, store::Transaction& tx, LayerSource& source, uint64_t& kept) {
  Progress& progress = intake.progress;
  const bool is_small = source.claim.size_bytes.value_or(0) < kLeastPartBytes;
  if (source.open_from && !is_small) {
    const auto open = [&](uint64_t from) -> Result<archive::Source> {
      kept = from;
      progress.advance(kPhase, 0, from);
      archive::Source raw = TRY(source.open_from(from));
      return count(std::move(raw), progress);
    };
    return fetch_layer(intake.store, tx, open, source.claim);
  }
  archive::Source raw = TRY(source.open_from ? source.open_from(0) : source.open());
  return store_layer(tx, count(std::move(raw), progress), source.claim);
}

// The layers that have to be read, each once, however often the image has them.
Result<std::vector<Layer>> take_layers(const Intake& intake, store::Transaction& tx,
                                       std::vector<LayerSource>& sources) {
  std::vector<std::optional<Layer>> found(sources.size());
  std::vector<size_t> wanted;
  uint64_t bytes = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    const LayerClaim& claim = sources[i].claim;
    found[i] = TRY(find_known(intake, tx, claim));
    const bool is_repeated = claim.digest && std::any_of(wanted.begin(), wanted.end(), [&](size_t w) {
      return sources[w].claim.digest == claim.digest;
    });
    if (found[i] || is_repeated) continue;
    wanted.push_back(i);
    bytes += claim.size_bytes.value_or(0);
  }
  std::atomic<uint64_t> kept_bytes{0};
  if (!wanted.empty()) intake.progress.begin(kPhase, wanted.size(), bytes);
  const auto take_one = [&](size_t n) -> Result<void> {
    LayerSource& source = sources[wanted[n]];
    uint64_t kept = 0;
    found[wanted[n]] = TRY(take_layer(intake, tx, source, kept), "layer {}", source.title);
    kept_bytes += kept;
    intake.progress.advance(kPhase, 1, 0);
    return {};
  };
  TRY(intake.workers.for_each(wanted.size(), take_one));
  if (!wanted.empty())
    intake.progress.end(kPhase, fmt::format("unpacked {} of {} layers{}", wanted.size(), sources.size(),
                                            kept_bytes == 0 ? "" : fmt::format(", {} were here from before", human_bytes(kept_bytes))));
  std::vector<Layer> layers;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (!found[i]) found[i] = TRY(find_known(intake, tx, sources[i].claim));
    if (!found[i]) return Error(Code::internal, "layer {} is not there after it was read", i + 1);
    layers.push_back(*found[i]);
  }
  return layers;
}

// Such an archive has forgotten the manifest, but the store may know it: with its layers whole there
// is nothing to read.
Result<bool> use_known(const Intake& intake, const store::Transaction& tx, NewImage& image) {
  const oci::Digest id = oci::Sha256::of(image.config_bytes);
  const std::vector<Image> all = TRY(ImageStore(intake.store).list());
  for (const Image& known : all) {
    if (known.id != id) continue;
    bool is_whole = true;
    for (const Layer& layer : known.layers) {
      const auto found = TRY(find_layer(intake.store, &tx, layer.digest));
      is_whole = is_whole && found.has_value();
    }
    if (!is_whole) continue;
    image.manifest_bytes = known.manifest_bytes;
    image.layers = known.layers;
    return true;
  }
  return false;
}

std::string_view media_type_of(archive::TarFilter compression) {
  switch (compression) {
    case archive::TarFilter::gzip: return oci::media::kLayerGzip;
    case archive::TarFilter::zstd: return oci::media::kLayerZstd;
    default: return oci::media::kLayer;
  }
}

}  // namespace

std::string make_manifest(std::string_view config_bytes, const std::vector<Layer>& layers) {
  oci::Manifest manifest{.media_type = std::string(oci::media::kManifest),
                         .artifact_type = {},
                         .config = {.media_type = std::string(oci::media::kConfig),
                                    .digest = oci::Sha256::of(config_bytes),
                                    .size_bytes = config_bytes.size(),
                                    .annotations = {},
                                    .platform = {}},
                         .layers = {},
                         .subject = {},
                         .annotations = {}};
  for (const Layer& layer : layers)
    manifest.layers.push_back({.media_type = std::string(media_type_of(layer.compression)),
                               .digest = layer.digest,
                               .size_bytes = layer.size_bytes,
                               .annotations = layer.annotations,
                               .platform = {}});
  return oci::encode(manifest);
}

Result<Image> take_image(const Intake& intake, NewImage image, std::vector<LayerSource> layers) {
  store::Transaction tx = TRY(intake.store.begin());
  auto taken = take_layers(intake, tx, layers);
  if (!taken) {
    // A network that broke: what came whole need not come again. gc takes it when it grows old.
    const bool keeps = taken.error().code() == Code::unavailable &&
                       std::any_of(layers.begin(), layers.end(), [&](const LayerSource& source) {
                         return source.claim.digest && tx.find_pending(blob_name(*source.claim.digest)).has_value();
                       });
    if (keeps) (void)std::move(tx).commit();
    return taken.error();
  }
  image.layers = std::move(*taken);
  return ImageStore(intake.store).add(std::move(tx), image, intake.variant);
}

Result<Image> take_bare_image(const Intake& intake, std::string config_bytes,
                              std::vector<std::string> names, std::vector<LayerSource> layers) {
  store::Transaction tx = TRY(intake.store.begin());
  NewImage image;
  image.config_bytes = std::move(config_bytes);
  image.names = std::move(names);
  const bool is_known = TRY(use_known(intake, tx, image));
  if (!is_known) {
    image.layers = TRY(take_layers(intake, tx, layers));
    image.manifest_bytes = make_manifest(image.config_bytes, image.layers);
  }
  return ImageStore(intake.store).add(std::move(tx), image, intake.variant);
}

namespace {

// Some write the only variant that there is, others do not.
std::string variant_of(const oci::Platform& platform) {
  return platform.architecture == "arm64" && platform.variant == "v8" ? "" : platform.variant;
}

}  // namespace

const oci::Descriptor* choose_platform(const oci::Index& index, const oci::Platform& platform) {
  const oci::Descriptor* near = nullptr;
  for (const oci::Descriptor& entry : index.manifests) {
    if (!entry.platform || entry.platform->os != platform.os ||
        entry.platform->architecture != platform.architecture)
      continue;
    if (variant_of(*entry.platform) == variant_of(platform)) return &entry;
    if (near == nullptr && platform.variant.empty()) near = &entry;
  }
  return near;
}

Result<const oci::Descriptor*> find_platform(const oci::Index& index, const oci::Platform& platform) {
  constexpr size_t kMostShown = 12;
  if (const oci::Descriptor* chosen = choose_platform(index, platform)) return chosen;
  std::vector<std::string> others;
  for (const oci::Descriptor& entry : index.manifests)
    if (entry.platform && others.size() <= kMostShown) others.push_back(entry.platform->string());
  Error error(Code::not_found, "no image for {} among {} in the index{}", platform.string(), index.manifests.size(),
              others.empty() || others.size() > kMostShown ? ""
                  : printable(fmt::format(": {}", fmt::join(others, ", "))));
  if (others.empty()) return error;
  return std::move(error).hint(fmt::format("`--platform {}` takes that one", printable(others.front())));
}

}  // namespace kist::images

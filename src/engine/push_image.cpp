#include <atomic>
#include <map>

#include "archive/turn_around.h"
#include "base/text.h"
#include "engine/image_transfer.h"
#include "images/layer.h"

namespace kist::engine {
namespace {

constexpr std::string_view kPhase = "pushing";

// The names that an image is known by; of the one that `pushed` was built over also what its label says.
std::vector<std::string> names_of(const images::Image& image, const images::Image& pushed) {
  std::vector<std::string> names = image.names;
  const auto& labels = pushed.config.run.labels;
  const auto digest = labels.find("org.opencontainers.image.base.digest");
  const auto name = labels.find("org.opencontainers.image.base.name");
  if (digest != labels.end() && name != labels.end() && digest->second == image.digest.string())
    names.push_back(name->second);
  return names;
}

// Repositories of the same registry that have a layer, as far as the names here tell.
std::map<std::string, std::vector<std::string>> mount_sources(const Transfer& transfer, const images::Image& pushed,
                                                              const oci::Reference& reference) {
  std::map<std::string, std::vector<std::string>> out;
  const auto all = images::ImageStore(transfer.intake.store).list();
  if (!all || reference.registry.empty()) return out;
  for (const images::Image& image : *all)
    for (const std::string& name : names_of(image, pushed)) {
      const auto known = oci::Reference::parse(name);
      if (!known || known->registry != reference.registry || known->repository == reference.repository) continue;
      for (const images::Layer& layer : image.layers) out[layer.digest.hex()].push_back(known->repository);
    }
  return out;
}

PushedLayer::How how_of(registry::Repository::Pushed pushed) {
  switch (pushed) {
    case registry::Repository::Pushed::mounted: return PushedLayer::How::mounted;
    case registry::Repository::Pushed::sent: return PushedLayer::How::sent;
    default: return PushedLayer::How::there;
  }
}

class Pusher {
 public:
  Pusher(const Transfer& transfer, const images::Image& image, const oci::Reference& reference, bool dry_run,
         const registry::Address& address)
      : transfer_(transfer), image_(image), reference_(reference), dry_run_(dry_run),
        session_(address, transfer.host, transfer.network), repository_(session_, options_of(transfer, true)) {}

  Result<Pushed> run() {
    const registry::Address& address = session_.address();
    Pushed out{.digest = image_.digest, .manifest_bytes = image_.manifest_bytes.size(),
               .to = address.registry + "/" + address.repository, .layers = {}, .sent_bytes = 0};
    for (const images::Layer& layer : image_.layers) out.layers.push_back({.digest = layer.digest, .size_bytes = layer.size_bytes});
    const std::string tag = reference_.digest ? reference_.digest->string()
                            : reference_.tag.empty() ? std::string(oci::kDefaultTag)
                                                     : reference_.tag;
    const auto there = TRY(repository_.head_manifest(tag));
    if (there == image_.digest) return out;  // With all that it names: registries see to that.
    TRY(push_layers(out));
    if (dry_run_) return out;
    TRY(push_config());
    const std::string type =
        image_.manifest.media_type.empty() ? std::string(oci::media::kManifest) : image_.manifest.media_type;
    TRY(repository_.put_manifest(tag, image_.manifest_bytes, type));
    out.sent_bytes = sent_bytes_;
    return out;
  }

 private:
  Result<void> push_layers(Pushed& out) {
    const auto mounts = mount_sources(transfer_, image_, reference_);
    uint64_t bytes = 0;
    for (const PushedLayer& layer : out.layers) bytes += layer.size_bytes;
    Progress& progress = transfer_.intake.progress;
    progress.begin(kPhase, out.layers.size(), bytes);
    const auto push_one = [&](size_t i) -> Result<void> {
      const auto found = mounts.find(out.layers[i].digest.hex());
      TRY(push_layer(image_.layers[i], found == mounts.end() ? std::vector<std::string>() : found->second, out.layers[i]),
          "layer {}", out.layers[i].digest.hex().substr(0, 12));
      progress.advance(kPhase, 1, 0);
      return {};
    };
    TRY(transfer_.intake.workers.for_each(out.layers.size(), push_one));
    uint64_t new_bytes = 0;
    size_t count = 0;
    for (const PushedLayer& layer : out.layers)
      if (layer.how == PushedLayer::How::sent) {
        new_bytes += layer.size_bytes;
        ++count;
      }
    out.sent_bytes = new_bytes;
    progress.end(kPhase, fmt::format("{} {} of {} layers, {}", dry_run_ ? "would push" : "pushed", count, out.layers.size(),
                                     human_bytes(new_bytes)));
    return {};
  }

  Result<void> push_layer(const images::Layer& layer, std::vector<std::string> mount_from, PushedLayer& out) {
    if (dry_run_) {
      const bool there = TRY(repository_.has_blob(layer.digest));
      out.how = there ? PushedLayer::How::there : PushedLayer::How::sent;
      return {};
    }
    const registry::Upload upload{
        .digest = layer.digest,
        .size_bytes = layer.size_bytes,
        .open = [this, &layer](uint64_t from) -> Result<registry::Source> {
          return without_first(from, archive::turn_around([this, &layer](const auto& output) {
            return images::write_blob(transfer_.intake.store, layer, output);
          }));
        },
        .mount_from = std::move(mount_from),
        .sent = [this](uint64_t bytes) {
          sent_bytes_ += bytes;
          transfer_.intake.progress.advance(kPhase, 0, bytes);
        }};
    const auto pushed = TRY(repository_.push_blob(upload));
    out.how = how_of(pushed);
    return {};
  }

  Result<void> push_config() {
    const registry::Upload upload{.digest = image_.id,
                                  .size_bytes = image_.config_bytes.size(),
                                  .open = [this](uint64_t from) -> Result<registry::Source> {
                                    return registry::Source([this, from, given = false]() mutable -> Result<std::string_view> {
                                      return std::exchange(given, true) ? std::string_view()
                                                                        : std::string_view(image_.config_bytes).substr(from);
                                    });
                                  },
                                  .mount_from = {},
                                  .sent = [this](uint64_t bytes) { sent_bytes_ += bytes; }};
    TRY(repository_.push_blob(upload), "the image's configuration");
    return {};
  }

  const Transfer& transfer_;
  const images::Image& image_;
  const oci::Reference& reference_;
  const bool dry_run_;
  registry::Session session_;
  registry::Repository repository_;
  std::atomic<uint64_t> sent_bytes_{0};
};

}  // namespace

// A layer's bytes are written from the beginning; what is there already is not sent.
registry::Source without_first(uint64_t bytes, registry::Source source) {
  return [source = std::move(source), bytes]() mutable -> Result<std::string_view> {
    while (true) {
      const std::string_view piece = TRY(source());
      const size_t skipped = static_cast<size_t>(std::min<uint64_t>(bytes, piece.size()));
      bytes -= skipped;
      if (piece.empty() || skipped < piece.size()) return piece.substr(skipped);
    }
  };
}

Result<void> push_index(const Transfer& transfer, const std::string& bytes, const oci::Reference& reference) {
  const auto conf = TRY(registry::read_registries_conf(transfer.host));
  const auto addresses = TRY(registry::addresses_of(reference, transfer.host, conf, true));
  registry::Session session(addresses.front(), transfer.host, transfer.network);
  registry::Repository repository(session);
  const std::string tag = reference.tag.empty() ? std::string(oci::kDefaultTag) : reference.tag;
  TRY(repository.put_manifest(tag, bytes, oci::media::kIndex), "cannot push '{}'", printable(reference.string()));
  return {};
}

Result<Pushed> push_image(const Transfer& transfer, const images::Image& image, const oci::Reference& reference,
                          bool dry_run) {
  const auto conf = TRY(registry::read_registries_conf(transfer.host));
  const auto addresses = TRY(registry::addresses_of(reference, transfer.host, conf, true));
  Pusher pusher(transfer, image, reference, dry_run, addresses.front());
  Pushed pushed = TRY(pusher.run(), "cannot push '{}'", printable(reference.string()));
  return pushed;
}

}  // namespace kist::engine

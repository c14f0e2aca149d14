#include <algorithm>
#include <set>

#include "base/text.h"
#include "images/image_store.h"
#include "images/stack.h"

namespace kist::images {
namespace {

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

uint64_t Image::size_bytes() const {
  uint64_t sum = 0;
  for (const Layer& layer : layers) sum += layer.content_bytes;
  return sum;
}

std::vector<std::string> Image::repository_digests() const {
  std::set<std::string> out;
  for (const std::string& name : names)
    out.insert(fmt::format("{}@{}", name.substr(0, name.rfind(':')), digest.string()));
  return {out.begin(), out.end()};
}

Result<Image> check_image(const NewImage& from) {
  oci::Manifest manifest = TRY(oci::parse_manifest(from.manifest_bytes, from.manifest_type));
  oci::ImageConfig config = TRY(oci::parse_image_config(from.config_bytes));
  const oci::Digest id = oci::Sha256::of(from.config_bytes);
  if (id != manifest.config.digest)
    return Error(Code::corrupt, "image configuration has the digest {}, want {}", id.string(),
                 manifest.config.digest.string());
  if (manifest.layers.size() != from.layers.size() ||
      config.diff_ids.size() != from.layers.size()) {
    return Error(Code::corrupt,
                 "manifest lists {} layers and the configuration {}, want the same number",
                 manifest.layers.size(), config.diff_ids.size());
  }
  for (size_t i = 0; i < from.layers.size(); ++i) {
    const Layer& layer = from.layers[i];
    if (layer.digest == manifest.layers[i].digest && layer.diff_id == config.diff_ids[i]) continue;
    return Error(Code::corrupt, "layer {} is {} with the diff id {}, want {} with {}", i + 1,
                 layer.digest.string(), layer.diff_id.string(),
                 manifest.layers[i].digest.string(), config.diff_ids[i].string());
  }
  return Image{.id = id,
               .digest = oci::Sha256::of(from.manifest_bytes),
               .manifest_bytes = from.manifest_bytes,
               .config_bytes = from.config_bytes,
               .manifest = std::move(manifest),
               .config = std::move(config),
               .layers = from.layers,
               .tree = id,  // Not known yet.
               .names = sorted(from.names)};
}

Result<store::Tree> merge_layers(const store::Store& store, const std::vector<Layer>& layers) {
  store::Tree merged;
  for (size_t i = 0; i < layers.size(); ++i) {
    const store::Tree layer = TRY(store.tree(layers[i].tree));
    merged = TRY(lay_over(merged, layer), "layer {}", i + 1);
  }
  return merged;
}

launch::ReadyImage ready_of(const Image& image, const store::Root& root, const std::string& name) {
  const oci::RunConfig& run = image.config.run;
  launch::ReadyImage out;
  out.name = name;
  out.id = image.id.string();
  out.digest = image.digest.string();
  out.os = image.config.platform.os;
  out.architecture = image.config.platform.architecture;
  out.tree = image.tree.string();
  out.root_lease = store::lease_path(root);
  out.erofs_image = root.erofs_image;
  out.objects = root.objects;
  out.lowers = root.lowers;
  out.env = run.env;
  out.entrypoint = run.entrypoint;
  out.cmd = run.cmd;
  out.user = run.user;
  out.working_dir = run.working_dir;
  out.exposed_ports = run.exposed_ports;
  out.volumes = run.volumes;
  out.labels = {run.labels.begin(), run.labels.end()};
  out.stop_signal = run.stop_signal;
  out.shell = run.shell;
  if (run.healthcheck) {
    const oci::Healthcheck& health = *run.healthcheck;
    out.healthcheck = {health.test,         health.interval_ns,       health.timeout_ns,
                       health.start_period_ns, health.start_interval_ns, health.retries};
  }
  return out;
}

}  // namespace kist::images

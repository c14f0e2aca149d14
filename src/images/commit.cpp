#include "images/commit.h"

#include "images/import.h"

namespace kist::images {

Result<Image> commit_image(const Intake& intake, const Image& base, const oci::RunConfig& run, archive::Source tar,
                           const CommitOptions& options) {
  oci::ImageConfig config = base.config;
  config.run = run;
  config.run.on_build.clear();  // They were the base's, for who builds on that.
  for (const std::string& change : options.changes) TRY(apply_change(change, config.run));
  config.created = options.created;
  config.author = options.author;
  config.history.push_back({.created = options.created,
                            .created_by = options.created_by,
                            .author = options.author,
                            .comment = options.message,
                            .empty_layer = false});
  store::Transaction tx = TRY(intake.store.begin());
  const Layer layer = TRY(store_layer(tx, std::move(tar), {}), "the container's changes");
  config.diff_ids.push_back(layer.diff_id);
  NewImage image;
  image.layers = base.layers;
  for (size_t i = 0; i < image.layers.size(); ++i) image.layers[i].annotations = base.manifest.layers[i].annotations;
  image.layers.push_back(layer);
  image.config_bytes = oci::encode(config);
  image.manifest_bytes = make_manifest(image.config_bytes, image.layers);
  image.names = options.names;
  return ImageStore(intake.store).add(std::move(tx), image, intake.variant);
}

}  // namespace kist::images

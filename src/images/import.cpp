#include "images/import.h"

namespace kist::images {

Result<Image> import_image(const Intake& intake, archive::Source raw,
                           const ImportOptions& options) {
  oci::ImageConfig config;
  for (const std::string& change : options.changes) TRY(apply_change(change, config.run));
  config.platform = options.platform;
  config.created = options.created;
  config.history.push_back(
      {.created = options.created,
       .created_by = {},
       .author = {},
       .comment = options.message.empty() ? "Imported from " + options.source : options.message,
       .empty_layer = false});

  const std::string start = TRY(archive::peek(raw, 6));
  archive::Source plain = TRY(archive::decompress(std::move(raw), archive::detect_filter(start)));
  store::Transaction tx = TRY(intake.store.begin());
  const Layer layer = TRY(store_layer(tx, std::move(plain), {}), "'{}'", options.source);
  config.diff_ids.push_back(layer.diff_id);
  NewImage image;
  image.layers.push_back(layer);
  image.config_bytes = oci::encode(config);
  image.manifest_bytes = make_manifest(image.config_bytes, image.layers);
  image.names = options.names;
  return ImageStore(intake.store).add(std::move(tx), image, intake.variant);
}

}  // namespace kist::images

// An image on its way into the store, wherever it comes from: an archive, a folder, a registry.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "archive/decompress.h"
#include "base/progress.h"
#include "images/image_store.h"
#include "os/workers.h"

namespace kist::images {

/// Where it goes, and who helps. References outlive every use.
struct Intake {
  const store::Store& store;
  store::Variant variant;
  os::Workers& workers;
  Progress& progress;
};

/// One layer that may have to be read.
struct LayerSource {
  LayerClaim claim;
  std::string title;  // For progress and messages.
  /// Called at most once, from any thread, and only if the store does not have the layer.
  std::function<Result<archive::Source>()> open;
  /// Instead, for what comes from afar and may break off: the bytes from that one on. The claim says all.
  std::function<Result<archive::Source>(uint64_t from)> open_from = {};
};

/// Puts an image into the store, its layers in parallel; what is there already is not opened.
/// `manifest_bytes` and `config_bytes` were checked against the digests that they were asked by; the
/// layers are checked here. The image appears whole or not at all; layers that are whole stay for the
/// next try when the others cannot be reached (unavailable), and so does what came of large ones.
/// Errors: those of store_layer() and ImageStore::add().
Result<Image> take_image(const Intake& intake, NewImage image, std::vector<LayerSource> layers);

/// The same for an archive without manifest: one is made of what the layers turn out to be.
Result<Image> take_bare_image(const Intake& intake, std::string config_bytes,
                              std::vector<std::string> names, std::vector<LayerSource> layers);

/// A manifest for layers in the store. A function of its arguments.
std::string make_manifest(std::string_view config_bytes, const std::vector<Layer>& layers);

/// The one entry for this platform; empty when there is none. Without variants an exact match of
/// system and architecture wins; entries for no platform (attestations) never do.
const oci::Descriptor* choose_platform(const oci::Index& index, const oci::Platform& platform);
/// The same. Errors: not_found (says which platforms there are, if they are few).
Result<const oci::Descriptor*> find_platform(const oci::Index& index, const oci::Platform& platform);

}  // namespace kist::images

// Images as one tar, for other tools and other machines.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "images/image_store.h"
#include "store/layer.h"

namespace kist::images {

enum class SaveFormat {
  oci,     // An OCI layout: manifests, configurations and layers exactly as they came.
  docker,  // docker-archive: configurations as they came, layers as plain tars.
};

/// One image, and under which of its names.
struct SaveItem {
  const Image* image;
  std::vector<std::string> names;  // May be empty.
};

/// Writes the tar: the same images give the same bytes. What several images share is in it once.
/// Errors: corrupt (hint: fsck), those of `output`.
Result<void> save(const store::Store& store, std::span<const SaveItem> items, SaveFormat format,
                  const store::Output& output);

}  // namespace kist::images

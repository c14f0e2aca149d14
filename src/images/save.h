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

struct SaveOptions {
  SaveFormat format = SaveFormat::oci;
  /// Leaves out the layers that this image has: who has it can load the rest. Form `oci` only.
  const Image* since = nullptr;
};

/// Says in index.json what an archive leaves out: the digest of SaveOptions::since.
inline constexpr const char* kSinceAnnotation = "io.kist.since";

/// Writes the tar: the same images give the same bytes. What several images share is in it once.
/// Errors: corrupt (hint: fsck), those of `output`.
Result<void> save(const store::Store& store, std::span<const SaveItem> items, const SaveOptions& options,
                  const store::Output& output);

}  // namespace kist::images

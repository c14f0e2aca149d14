// Images out of archives and folders.
#pragma once

#include <string>
#include <vector>

#include "images/bundle.h"
#include "images/intake.h"

namespace kist::images {

struct LoadOptions {
  /// Of an index with several platforms, the one to take.
  oci::Platform platform = oci::Platform::host();
  bool only_platform = false;  // Nothing for others, either.
  std::string default_registry;
};

struct Loaded {
  Image image;
  std::vector<std::string> names;  // Those that the bundle gives it.
};

/// All images of a bundle: those of its index.json if it is an OCI layout, else of its manifest.json.
/// Each appears as soon as it is whole; after an error those before it are there.
/// Errors: not_found (no image in it, or none for the platform), corrupt, invalid, unsupported.
Result<std::vector<Loaded>> load(const Intake& intake, const Bundle& bundle,
                                const LoadOptions& options);

}  // namespace kist::images

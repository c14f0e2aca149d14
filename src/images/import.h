// The tar of a root file system as an image of one layer, and what docker's --change says of it.
#pragma once

#include <span>
#include <string>

#include "images/intake.h"

namespace kist::images {

struct ImportOptions {
  std::vector<std::string> names;
  std::vector<std::string> changes;  // "CMD [\"sh\"]", "ENV A=1", as in a Dockerfile.
  std::string message;               // Of the history.
  std::string source;                // "rootfs.tar", "-": for the history.
  std::string created;               // RFC 3339.
  oci::Platform platform = oci::Platform::host();
};

/// `raw` may be compressed (gzip, zstd, xz, bzip2); the layer is kept plain.
/// Errors: those of store_layer() and apply_change().
Result<Image> import_image(const Intake& intake, archive::Source raw, const ImportOptions& options);

/// One instruction: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME
/// WORKDIR, in the forms that a Dockerfile has. Errors: invalid (names the instruction).
Result<void> apply_change(std::string_view change, oci::RunConfig& run);

}  // namespace kist::images

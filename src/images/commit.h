// What a container changed of its image, as an image of one layer more.
#pragma once

#include <string>
#include <vector>

#include "images/intake.h"

namespace kist::images {

struct CommitOptions {
  std::vector<std::string> names;
  std::vector<std::string> changes;  // "CMD [\"sh\"]", "ENV A=1", as in a Dockerfile.
  std::string message, author;
  std::string created;     // RFC 3339.
  std::string created_by;  // The container's command, for the history.
};

/// `run`: what containers of it start with, before the changes. `tar`: the layer, plain.
/// Errors: those of store_layer() and apply_change().
Result<Image> commit_image(const Intake& intake, const Image& base, const oci::RunConfig& run, archive::Source tar,
                           const CommitOptions& options);

}  // namespace kist::images

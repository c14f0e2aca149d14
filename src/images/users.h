// Who needs an image: containers list the trees that they run in, projects those that they stand on.
#pragma once

#include <string>
#include <vector>

#include "store/store.h"

namespace kist::images {

/// Ids of containers, running or not, whose file containers/ids/<id>/roots lists `tree`; sorted.
Result<std::vector<std::string>> containers_using(const store::Store& store,
                                                  const oci::Digest& tree);

/// Whether a file projects/<key>/<environment>.roots lists `tree`: the image is the base of a project.
Result<bool> is_base_of_project(const store::Store& store, const oci::Digest& tree);

}  // namespace kist::images

// The base of an environment when it is an OCI image: from an image in the store to the tree that an
// environment stands on. Who brings the image into the store is engine/base_image.h.
#pragma once

#include <string>
#include <vector>

#include "environment/context.h"
#include "environment/debian_base.h"
#include "images/image_store.h"
#include "python/pylock.h"

namespace kist::environment {

/// The image of a lock, from the store. Errors: not_found (it is not there), corrupt.
Result<images::Image> locked_image(const Context& context, const std::string& base,
                                   const python::LockedImage& image);

/// The store's name for the tree that such a base makes.
std::string image_base_name(const python::LockedImage& image);

/// All that the image has but for what the environment has in its place: /opt/kist, the byte-code of its
/// standard library, and /opt/python when the project brings a Python of its own. From the store, if it
/// was ever made here; else from locked_image(), whose errors these are, and unsupported (its /opt is a link).
Result<Base> assemble_image(const Context& context, const std::string& base, const python::LockedImage& image,
                            store::Transaction& tx);

/// Whether the image has a /opt/kist of its own, which an environment's must not be mixed with.
bool has_environment(const store::Tree& image);

/// "NAME=value" of the image's configuration, as an environment over it has them: its PATH behind
/// /opt/kist/bin, without what would lead Python to packages that no lock has, or is the person's.
std::vector<std::string> variables_of_image(const oci::ImageConfig& config);

}  // namespace kist::environment

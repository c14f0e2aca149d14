// The image that a project's base is: which one, and getting it into the store.
#pragma once

#include <optional>
#include <string>

#include "engine/project.h"
#include "environment/resolve.h"
#include "images/image_store.h"

namespace kist::engine {

struct BaseImageRequest {
  const python::Inputs& inputs;
  std::string platform;             // "linux/amd64"
  const python::Lock* previous = nullptr;  // Its digest is kept while kist.toml names the same image.
  bool upgrade = false;             // Ask the registry what the name stands for now.
};

/// Empty when the base is none. A name with a registry is looked up there, any other on this machine
/// first; brings the image as `kist pull` does, and finds the Python in it.
/// Errors: those of pull_image() and find_image_python(); not_found, unavailable (offline), unsupported
/// (another platform's; not the Python that the project wants; Debian packages over an image).
Result<std::optional<environment::ChosenImage>> choose_base_image(const environment::Context& context,
                                                                  const BaseImageRequest& request);

/// The image of a lock: from the store, else from its registry by its digest. Empty when the base is none.
/// Errors: those of pull_image(), unavailable (offline).
Result<std::optional<images::Image>> bring_base_image(const environment::Context& context,
                                                      const python::Lock& lock);

/// Of another platform's lock also the image that compiles for it, if there is one and its tree was never made
/// here. Errors: as before; not for an image that is nowhere any more (then there is no byte-code).
Result<void> bring_compiler_image(const environment::Context& context, const python::Lock& lock,
                                  const std::string& lock_folder);

/// Warns of libraries ("libffi.so.8") that an interpreter of the project's own needs and the image lacks.
Result<void> warn_of_missing(const environment::Context& context, const environment::ChosenImage& image,
                             const std::vector<std::string>& libraries);

/// Puts the lock's image, if it has one, into another store, from the bytes of its layers.
Result<void> copy_base_image(const environment::Context& from, const environment::Context& to,
                             const python::Lock& lock);

Result<void> copy_compiler_image(const environment::Context& from, const environment::Context& to,
                                 const python::Lock& lock, const std::string& lock_folder);

/// The digests that keep an image's contents when its name is gone: for a project's list of roots.
std::vector<std::string> pins_of(const images::Image& image);

}  // namespace kist::engine

// How the runtime is told of a root of the store.
#pragma once

#include "runtime/container.h"
#include "store/root.h"

namespace kist::environment {

inline runtime::RootSource source_of(const store::Root& root) {
  // Exactly one of the two forms: an image over the objects, or folders.
  if (root.erofs_image.empty()) return {.erofs_image = "", .lowers = root.lowers, .objects = ""};
  return {.erofs_image = root.erofs_image, .lowers = {}, .objects = root.objects};
}

}  // namespace kist::environment

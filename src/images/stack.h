// Layers on top of each other as one tree: what a container of the image sees.
#pragma once

#include "store/tree.h"

namespace kist::images {

/// `layer` (as unpack.h gives it) laid over `below`: whiteouts and opaque folders hide what is below
/// and only that; a file hides a folder and a folder a file; a folder over a folder gives its mode,
/// owner and attributes, unless the layer did not list it. No whiteout is left in the result.
/// Errors: corrupt (a hard link to a path that is in neither), invalid (more entries than a tree
/// can have).
Result<store::Tree> lay_over(const store::Tree& below, const store::Tree& layer);

}  // namespace kist::images

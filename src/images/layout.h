// Images as an OCI layout in a folder: for other tools, and for storage that is no registry.
#pragma once

#include <string>
#include <vector>

#include "images/image_store.h"

namespace kist::images {

/// One image for each platform, of which the first stands for a name where only one can.
struct LayoutItem {
  std::vector<const Image*> images;
  std::vector<std::string> names;  // May be empty.
};

/// Makes `folder` if need be. Blobs that are there, with their size, are not written again; the entries
/// of other names in its index stay. Each file appears whole, the index last.
/// Errors: corrupt (the index that is there), denied, unavailable (disk full).
Result<void> write_layout(const store::Store& store, const LayoutItem& item, const std::string& folder);

/// The index of images for several platforms. A function of them.
std::string make_index(const std::vector<const Image*>& images);

}  // namespace kist::images

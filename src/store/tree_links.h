// Paths of a tree as a program in it would follow them.
#pragma once

#include <string_view>

#include "store/tree.h"

namespace kist::store {

/// What `path` leads to, through links in any of its parts, never out of the tree; its real path is the
/// entry's. A leading slash is the tree's root. Null when it leads nowhere, to the root, or in circles.
const Entry* follow(const Tree& tree, std::string_view path);

}  // namespace kist::store

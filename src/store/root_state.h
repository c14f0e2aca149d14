// Whether the folder of a root is whole. Module-private.
//
// A root is used before it is durable, since the program starts first. So its folder is made under
// another name and renamed when whole; it then holds a file `boot` with the id of this run of the
// kernel, for as long as which the page cache vouches for it, and gets a file `durable` once a
// sync has passed. A root with neither is garbage that a power cut left.
#pragma once

#include <string>

#include "base/result.h"

namespace kist::store {

inline constexpr std::string_view kBootFile = "boot";
inline constexpr std::string_view kDurableFile = "durable";

bool is_root_usable(const std::string& folder);
bool is_root_durable(const std::string& folder);
Result<void> mark_root_made(const std::string& folder);
/// Call after a sync. Not being able to is harmless: the root is made anew after a restart.
void mark_root_durable(const std::string& folder);

}  // namespace kist::store

// Folders with hard links to objects. Module-private; root.h is the way in.
#pragma once

#include <string>
#include <vector>

#include "store/object_files.h"
#include "store/tree.h"

namespace kist::store {

/// Fills the empty folder `path` with `tree`. Symlinks and folders get the tree's times, which
/// makes them equal on every machine. Errors: not_found (an object), unavailable.
Result<void> make_farm(const Tree& tree, const std::string& path, ObjectFiles& objects);

/// What a second farm must hold to turn the first, of another tree, into this one.
struct Delta {
  Tree shown;                       // What was added or changed, and the folders that lead there.
  std::vector<std::string> hidden;  // What was removed, topmost paths only, in order.
  size_t cost() const { return shown.entries().size() + hidden.size(); }
};
Delta plan_delta(const Tree& base, const Tree& wanted);

/// Fills the empty folder `path`, to be stacked over the base's farm: hidden paths become overlay
/// whiteouts (a character device 0:0, which anybody may make since Linux 5.8).
Result<void> make_delta_farm(const Delta& delta, const std::string& path, ObjectFiles& objects);

}  // namespace kist::store

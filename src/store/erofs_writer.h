// A tree as an EROFS image that holds names and attributes only: a file's content is found by
// overlayfs in the store's objects/ folder. Linux mounts such an image straight from its file in a
// fraction of a millisecond, however many entries it has. docs/formats/root.md.
#pragma once

#include "os/fd.h"
#include "store/tree.h"

namespace kist::store {

/// Extended attributes that every root shows: those of the user, without the ones that would mean
/// something to overlayfs. trusted.* and system.* are the machine's business, not a package's.
bool is_shown_xattr(std::string_view name);
/// The capabilities of a file, which only an image of metadata can show: in a farm they would be the
/// host's to obey.
inline constexpr std::string_view kCapabilityXattr = "security.capability";

/// Writes the image to `file`, an empty file at its beginning. The bytes are a function of the tree
/// alone. Not durable. `digest` is the tree's; it becomes the UUID, so that an image tells what it
/// is of. Errors: unsupported (more extended attributes than EROFS can hold), unavailable.
Result<void> write_erofs(const Tree& tree, const oci::Digest& digest, const os::Fd& file);

}  // namespace kist::store

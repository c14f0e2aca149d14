// A tree made mountable on this machine. docs/formats/root.md.
//
//   std::optional<Root> root = store::find_root(store, digest, variant);  // A few lookups.
//   if (!root) {
//     store::Transaction tx = TRY(store.begin());
//     root = TRY(store::make_root(store, tx, tree, digest, variant));     // Once per tree.
//     … start the program …
//     TRY(std::move(tx).commit());                                        // Then make it last.
//   }
//   std::optional<Lease> lease = TRY(Lease::hold(*root));  // gc leaves it alone from here on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "os/fd.h"
#include "store/store.h"

namespace kist::store {

enum class Variant {
  erofs,  // An image of metadata, for who may mount one (root), over objects/.
  links,  // Folders with hard links to objects, for everybody.
};

struct Root {
  /// Variant::erofs: the image, to be mounted read-only from its file, and then
  ///   overlay: lowerdir+=<the mounted image>  datadir+=`objects`  metacopy=on  redirect_dir=on
  std::string erofs_image;
  /// Variant::links: one or two folders, uppermost first, for lowerdir+=. Never to be written to,
  /// since they share inodes with the store: always under an overlay with an upper.
  std::vector<std::string> lowers;
  /// The objects folder of the store.
  std::string objects;
  /// The folder that all this lies in; what Lease takes.
  std::string folder;
};

/// A root that is ready; empty when there is none, or one that a power cut left half-made. Neither
/// reads the tree nor writes. Any thread, any process.
std::optional<Root> find_root(const Store& store, const oci::Digest& tree, Variant variant);

/// Makes the root of `tree`, or finds it. All objects must be in the store. The root may be used at
/// once, by other processes too; it survives a power cut only if `transaction` was committed, and
/// is made anew otherwise. Of several processes that want the same root one makes it and the others
/// wait. Cost: `erofs` 2 us an entry; `links` 30-60 us an entry, or only for the entries that
/// differ when a root of a similar tree is there.
///
/// What a root does not show of its tree: setuid, setgid and sticky bits of files, extended
/// attributes other than user.*, and in `links` the owner, and the time of files.
/// Errors: not_found (an object is missing), unavailable (disk full), unsupported.
Result<Root> make_root(const Store& store, Transaction& transaction, const Tree& tree,
                       const oci::Digest& digest, Variant variant);

/// Keeps gc from removing a root, for as long as this or any copy of its descriptor is open: a
/// child that inherits it goes on holding it, and a death by any signal ends it.
class Lease {
 public:
  /// Empty when gc has removed the root meanwhile: make it again. Errors: unavailable.
  static Result<std::optional<Lease>> hold(const Root& root);
  /// The descriptor, close-on-exec, to hand on to who outlives us.
  os::Fd release() && { return std::move(fd_); }

 private:
  explicit Lease(os::Fd fd) : fd_(std::move(fd)) {}
  os::Fd fd_;
};

/// The file that a lease is an flock on: for who holds one without this class.
std::string lease_path(const Root& root);

/// "erofs-2", "links": the name of a variant's folder under roots/.
std::string_view variant_name(Variant variant);

}  // namespace kist::store

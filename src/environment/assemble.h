// From a lock to the one tree of an environment, and to the root that it is run in.
#pragma once

#include <string>
#include <vector>

#include "environment/bytecode_piece.h"
#include "environment/context.h"
#include "environment/debian_base.h"
#include "environment/root_variant.h"
#include "python/pylock.h"
#include "python/pylock_select.h"
#include "store/root.h"

namespace kist::environment {

/// A tree with the name that messages, layers and listings have for it.
struct NamedTree {
  std::string name;  // "numpy 2.1.0", "base"
  store::Tree tree;
};

struct Environment {
  oci::Digest digest{oci::Digest::Bytes{}};  // Of the merged tree.
  /// Empty when the merged tree was in the store already.
  std::vector<NamedTree> parts;
  size_t packages = 0;
  size_t assembled = 0;
  uint64_t fetched_bytes = 0;
  /// How to add the byte-code that the tree lacks; empty when it lacks none. The tree is good to run
  /// meanwhile, but only with all byte-code is it the same on every machine.
  std::optional<BytecodePlan> bytecode;
};

/// The target that a lock of ours is for. Errors: invalid (not a lock of ours), unsupported.
Result<python::Target> target_of(const python::Lock& lock);

/// The C library and the Python of an image that is the base. Errors: invalid.
Result<void> stand_on(const python::LockedImage& image, python::Target& target);

/// What the base is, in keys: "debian:trixie", or the image by its digest.
std::string base_id(const python::KistSection& kist);

/// The store's name for the tree of the base. Errors: unsupported.
Result<std::string> base_tree_name(const python::KistSection& kist);

/// The base as one tree. Errors: those of assemble_debian() and assemble_image().
Result<Base> assemble_base(const Context& context, const python::KistSection& kist, store::Transaction& tx);

/// Everything the lock names, in one tree in the store. Costs what is missing: nothing when the same
/// lock was assembled before, one package when one package changed.
/// Errors: those of gather(); exists (two packages install one path with different bytes; names
/// both); unsupported (no wheel for the target).
Result<Environment> assemble(const Context& context, const python::Lock& lock,
                             const std::string& lock_folder, store::Transaction& tx);

/// A name for the merged tree of a lock, made of everything that the tree is a function of.
Result<std::string> environment_name(const Context& context, const python::Lock& lock,
                                     const std::string& lock_folder);

/// The parts of an environment whether or not it was assembled before: for listings and layers.
Result<std::vector<NamedTree>> parts_of(const Context& context, const python::Lock& lock,
                                        const std::string& lock_folder, store::Transaction& tx);

}  // namespace kist::environment

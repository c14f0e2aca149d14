// Byte-code for a platform whose programs this machine cannot execute: that of one version of CPython is
// the same on every 64 bit little endian machine, so this machine's build of the same version compiles it.
#pragma once

#include <optional>
#include <string>

#include "environment/assemble.h"
#include "environment/context.h"
#include "python/pylock.h"

namespace kist::environment {

/// The lock of the same environment for this machine, if there is one that can be read.
std::optional<python::Lock> lock_of_this_machine(const python::Lock& lock, const std::string& lock_folder);

/// The tree of this machine's platform that has the lock's interpreter, to the revision: from the lock
/// that the project has for this machine, else from the packages of the suite as its index has them now.
/// Over an image it is what that lock stands on, which has to be in the store (engine/base_image.h).
/// Python lies at the same path as in the lock's own environment.
/// Errors: unsupported (there is no such interpreter; says which there is, hint: how to get one),
/// those of lock_debian() and assemble_debian().
Result<oci::Digest> foreign_compiler(const Context& context, const python::Lock& lock,
                                     const std::string& lock_folder, store::Transaction& tx);

/// An environment with all its byte-code, and what compiled it.
struct Completed {
  oci::Digest tree{oci::Digest::Bytes{}};
  oci::Digest compiler{oci::Digest::Bytes{}};  // A tree whose interpreter this machine can execute.
  bool has_bytecode = true;  // False only for another platform, when no interpreter compiles for it.
};

/// Compiles what the environment still lacks, here and now. Where no interpreter can compile for another
/// platform it warns, and the tree stays as it is. Errors: those of compiling and of foreign_compiler()
/// but unsupported.
Result<Completed> complete_environment(const Context& context, const python::Lock& lock,
                                       const std::string& lock_folder, const Environment& environment,
                                       store::Transaction& tx);

}  // namespace kist::environment

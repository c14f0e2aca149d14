// Byte-code of an application's own sources, for its image.
#pragma once

#include "environment/context.h"
#include "python/pylock.h"
#include "python/tags.h"
#include "store/store.h"

namespace kist::environment {

struct ApplicationBytecode {
  const python::Lock& lock;
  const python::Target& target;
  oci::Digest compiler;  // The tree whose interpreter compiles; in the store.
};

/// For every ".py" of `application` that compiles. Made once for the same sources, interpreter and
/// places.
/// Errors: those of run_step(), corrupt (what came out is no byte-code).
Result<store::Tree> application_bytecode(const Context& context, const ApplicationBytecode& request,
                                         const store::Tree& application, store::Transaction& tx);

}  // namespace kist::environment

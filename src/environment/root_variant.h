// Which kind of root this user can mount from this store.
#pragma once

#include "environment/context.h"
#include "runtime/container.h"
#include "store/root.h"

namespace kist::environment {

/// Tried with an image of nothing, some 0.3 ms: `erofs` for root where the kernel mounts an image
/// from its file, which it does since Linux 6.12 and not from every file system (tmpfs is one it
/// refuses); else `links`. Where nothing can be written it cannot be tried, and is taken to work.
store::Variant variant_of(const Context& context);

/// A root as the runtime takes it.
runtime::RootSource root_source(const store::Root& root);

/// The root that this user can mount. Errors: those of store::make_root().
Result<store::Root> root_of(const Context& context, const oci::Digest& tree, store::Transaction& tx);

}  // namespace kist::environment

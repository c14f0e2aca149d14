// Layers that kist makes of trees. Only the tree is kept, and how its bytes are written: they are
// written again whenever somebody wants them. docs/adr/0013-built-layers.md.
#pragma once

#include "images/layer.h"

namespace kist::images {

/// The layer of a tree. Written once, into nowhere, to learn its digests; found by tree and
/// compression from then on, which reads none of its contents and compresses nothing.
/// Named for others by commit(), as layers that came from elsewhere are.
///
/// Threads: any number at once in one transaction. Errors: unsupported (a path that layers have
/// another meaning for), corrupt (an object; hint: fsck), unavailable (disk full).
struct BuiltLayer {
  Layer layer;
  bool was_known = false;
};
/// `may_hide`: the tree's whiteouts are meant as such.
Result<BuiltLayer> build_layer(const store::Store& store, store::Transaction& tx, const store::Tree& tree,
                               const store::Compression& compression, bool may_hide = false);

/// The entry of a blob's tree that says how the bytes come from the layer's tree.
inline constexpr std::string_view kBuiltEntry = "built";

/// The bytes again, compressed or as the plain tar. `built`: that entry. Unchecked: who calls
/// compares the digest. Errors: unsupported (another release of the compressor), corrupt, those of
/// `output`.
Result<void> write_built(const store::Store& store, const Layer& layer, const store::Entry& built,
                         bool is_plain, const store::Output& output);

}  // namespace kist::images

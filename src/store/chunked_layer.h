// zstd:chunked: a layer of which readers that know how fetch only the files that they do not have; to all
// others it is a tar compressed by zstd. docs/formats/layer.md.
#pragma once

#include <map>
#include <string>

#include "store/layer.h"

namespace kist::store {

/// Part of the recipe: whoever changes where frames begin or a byte of the documents behind them changes
/// this.
inline constexpr int kChunkedRules = 2;

struct ChunkedTar {
  Tar tar;
  /// Of the layer's descriptor: without them no reader looks for the table of contents. Empty for a tree
  /// that the table cannot describe (a name that is not UTF-8); the layer is then whole or nothing.
  std::map<std::string, std::string> annotations;
};

/// The same tar as write_tar() gives. The content of each file is a frame of its own, that of a large one
/// is cut where its bytes say so: what was inserted into a file moves no later cut. Errors: as write_tar().
Result<ChunkedTar> write_chunked(const Tree& tree, const Contents& contents, const Output& output, int level);

}  // namespace kist::store

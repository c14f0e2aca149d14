// The pieces of an environment: every locked package as something that has a name in the store, and
// can be fetched and turned into a tree when the store does not have it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "environment/context.h"
#include "store/store.h"

namespace kist::environment {

struct Piece {
  std::string label;                     // "numpy 2.1.0", for messages.
  std::vector<std::string> store_names;  // What it gives: "deb/<key>", "deb/<key>-meta".
  std::optional<http::Download> download;
  /// What to try when its file is gone from the server, is another one, or cannot be installed.
  std::string remedy;
  /// Turns the file at `path` into one tree per store name. Called on a worker thread.
  std::function<Result<std::vector<store::Tree>>(const std::string& path, store::Transaction& tx)>
      install;
};

struct Gathered {
  std::vector<std::vector<store::Tree>> trees;  // Of each piece, one per store name.
  size_t from_store = 0;
  size_t assembled = 0;
  uint64_t fetched_bytes = 0;
};

/// The tree of a name: given in this transaction, or known to the store.
Result<std::optional<oci::Digest>> find_name(const store::Store& store, const store::Transaction& tx,
                                             std::string_view name);

/// Brings all pieces: from the store, else fetched and installed in parallel, verified while they
/// stream, unpacked while others still download. New ones get their names in `tx`.
/// Errors: those of the client and of install; unavailable when offline and something is missing.
Result<Gathered> gather(const Context& context, std::vector<Piece>& pieces, store::Transaction& tx,
                        std::string_view phase);

}  // namespace kist::environment

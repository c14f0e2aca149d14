// What is whole stays in the store when something else fails.
#pragma once

#include <utility>

#include "store/store.h"

namespace kist::engine {

/// Passes `result` on; when it is an error, commits `tx` first. Each name in it stands for one whole
/// package, so that the next attempt neither fetches nor unpacks these again. That the disk may
/// refuse this too is no news to the caller: `result` says what failed first.
template <class T>
Result<T> keep_finished(store::Transaction& tx, Result<T> result) {
  if (!result) (void)std::move(tx).commit().has_value();
  return result;
}

}  // namespace kist::engine

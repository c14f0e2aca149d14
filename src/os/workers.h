// Threads that share out work: unpacking, hashing and writing keep all cores busy through these.
//
//   os::Workers workers(os::core_count() - 1);      // The calling thread works too.
//   TRY(workers.for_each(count, [&](size_t i) -> Result<void> { … }));
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/result.h"

namespace kist::os {

/// The processors that this process may use (its affinity mask), at least 1.
unsigned core_count();

/// A fixed set of threads. Any number of threads may call for_each() at the same time, and a work
/// item may itself call for_each(): the caller always works on its own batch, so nothing waits for
/// a free thread. At most `threads` plus the number of outer callers work at once.
class Workers {
 public:
  /// 0 threads: for_each() is a plain loop.
  explicit Workers(unsigned threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Calls work(0) … work(count - 1), in no particular order, and returns when all are done. After
  /// a failure no further item is begun; the failure of the lowest index that failed is returned.
  Result<void> for_each(size_t count, const std::function<Result<void>(size_t)>& work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kist::os

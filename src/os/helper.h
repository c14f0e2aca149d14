// A program of ours that works beside what the person asked for, on time that nobody else wants, and
// that never outlives it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kist::os {

/// Owns one child process. Move-only. Needs libc only: the path that starts a container uses it.
class Helper {
 public:
  /// Starts args[0] (a path) after `delay`, with our environment, nothing on stdin and nowhere to
  /// print to, in a process group of its own, at idle priority for processor and disk. It is killed
  /// with this object and with the thread that called this, however that ends.
  /// Errors: unavailable (no process can be made). That args[0] cannot be executed shows in no way.
  static Result<Helper> start(const std::vector<std::string>& args, std::chrono::milliseconds delay);

  Helper(Helper&& other) noexcept : process_(std::exchange(other.process_, 0)) {}
  Helper& operator=(Helper&&) = delete;
  /// Kills it. When it is gone is up to the scheduler, so it is not waited for; it can do nothing
  /// more, and whoever inherits our children reaps it.
  ~Helper();

 private:
  explicit Helper(pid_t process) : process_(process) {}
  pid_t process_ = 0;
};

}  // namespace kist::os

// Limits of memory, processor time and processes, in whatever layout of cgroups the host has:
// v1 (a tree per controller), v2 (one tree), or hybrid (some controllers here, some there).
#pragma once

#include <string>
#include <vector>

#include "os/fd.h"
#include "runtime/container.h"

namespace kist::runtime {

/// The cgroups of one container; removed with this object, when nobody is in them any more.
class Cgroups {
 public:
  /// Makes a cgroup below our own for every controller that `limits` needs, and sets the limits.
  /// Nothing is touched when there are none.
  /// Errors: denied / unsupported, with the reason, unless `best_effort`.
  static Result<Cgroups> make(const Limits& limits, bool best_effort);
  Cgroups() = default;
  Cgroups(Cgroups&&) = default;
  Cgroups& operator=(Cgroups&&) = delete;
  ~Cgroups();
  /// Open files: whoever writes "0" to all of them is in.
  std::vector<int> procs() const;

 private:
  struct Group {
    std::string path;
    os::Fd lock;  // Says to others that it is in use.
    os::Fd procs;
  };
  Result<void> add(const Limits& limits, bool best_effort);
  Result<void> hold(std::string path);

  std::vector<Group> groups_;
};

}  // namespace kist::runtime

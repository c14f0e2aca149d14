// Asking systemd to make, change and end the scope of a container, by its own tool: busctl. The
// library that speaks on its bus is no part of us (docs/adr/0012).
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "bundle/cgroups.h"
#include "bundle/systemd_unit.h"

namespace kist::bundle {

/// A process of ours that does nothing: systemd wants one in a scope from the beginning, and the
/// container's own is made later. Ends when it is closed, or when we die.
class Placeholder {
 public:
  Placeholder() = default;
  static Result<Placeholder> make();
  Placeholder(Placeholder&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Placeholder& operator=(Placeholder&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Placeholder() { close(); }
  void close();
  pid_t pid() const { return pid_; }

 private:
  explicit Placeholder(pid_t pid) : pid_(pid) {}
  pid_t pid_ = 0;
};

/// By which limits are told: 1 where any tree is of version 1.
int systemd_version(const Cgroups& cgroups);
// For a user (acts_for_a_user()) it is the user's own service manager that is asked.
/// Makes the scope with `pid` in it, and waits until it is there; gives its cgroup's path in the tree.
/// Errors: unsupported (no systemd, no busctl, no bus), exists, and what systemd says.
Result<std::string> start_scope(const SystemdUnit& unit, const std::string& description,
                                const std::vector<UnitProperty>& properties, pid_t pid);
Result<void> change_scope(const std::string& name, const std::vector<UnitProperty>& properties);
/// One that is not there is stopped.
Result<void> stop_scope(const std::string& name);

}  // namespace kist::bundle

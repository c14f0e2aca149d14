// Ownership of file descriptors.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/result.h"

namespace kist::os {

/// Owns one open file descriptor. Move-only; an empty Fd owns nothing. To lend a descriptor, pass
/// `const Fd&`; to give it away, pass `Fd` by value. A bare int never crosses a module border.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int raw) : raw_(raw) {}
  Fd(Fd&& other) noexcept : raw_(std::exchange(other.raw_, kNone)) {}
  // Not defaulted: the descriptor that the target held must be closed, not forgotten.
  Fd& operator=(Fd&& other) noexcept {
    Fd taken(std::move(other));
    std::swap(raw_, taken.raw_);
    return *this;
  }
  // Never retried: on Linux the descriptor is gone even when close() says EINTR, so a retry could
  // close one that another thread has just opened.
  ~Fd() {
    if (raw_ != kNone) ::close(raw_);
  }
  int get() const { return raw_; }
  bool is_open() const { return raw_ != kNone; }
  /// Gives the descriptor up to the caller, for C interfaces that take ownership.
  int release() && { return std::exchange(raw_, kNone); }
  /// Closes and says whether that worked. Writers must call this: on NFS and under quotas it is
  /// where a failed write is first reported. The destructor cannot tell anybody.
  Result<void> close() && {
    if (::close(std::exchange(raw_, kNone)) != 0 && errno != EINTR)
      return Error::from_errno(errno, "close");
    return {};
  }

 private:
  static constexpr int kNone = -1;
  int raw_ = kNone;
};

}  // namespace kist::os

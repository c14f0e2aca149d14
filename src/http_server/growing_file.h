// A file that is sent while it is still being written: what came of it so far, and who waits for more.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "os/fd.h"

namespace kist::http_server {

/// One writes, any number read. Threads: any.
class GrowingFile {
 public:
  /// `file` can be read; `size_bytes` is what it is going to have.
  GrowingFile(os::Fd file, uint64_t size_bytes) : file_(std::move(file)), size_bytes_(size_bytes) {}

  const os::Fd& file() const { return file_; }
  uint64_t size_bytes() const { return size_bytes_; }

  enum class State { grows, good, broken };
  struct Seen {
    uint64_t bytes = 0;  // From the start of the file.
    State state = State::grows;
  };
  Seen seen() const;

  /// The writer: so many bytes are there now.
  void grown(uint64_t bytes);
  /// The writer, once: they are all there and are what they should be; or they will never be.
  void end(bool is_good);

  /// Calls `wake` once, on any thread, when there are more than `bytes` or it has ended: at once if that
  /// is so already. `wake` must not call back. The ticket is for forget().
  uint64_t when_more(uint64_t bytes, std::function<void()> wake);
  /// Once this returns, `wake` is not called any more.
  void forget(uint64_t ticket);

 private:
  struct Waiting {
    uint64_t bytes;
    std::function<void()> wake;
  };
  bool is_due(const Waiting& one) const { return seen_.bytes > one.bytes || seen_.state != State::grows; }
  void wake_due();

  os::Fd file_;
  uint64_t size_bytes_;
  mutable std::mutex mutex_;  // Guards what follows.
  Seen seen_;
  uint64_t next_ticket_ = 0;
  std::map<uint64_t, Waiting> waiting_;
};

}  // namespace kist::http_server

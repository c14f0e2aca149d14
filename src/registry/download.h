// Blobs on their way here: taken up where they broke off, and large ones by several requests at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "http/stream.h"

namespace kist::registry {

/// Gives pieces, valid until the next call; empty at the end.
using Source = std::function<Result<std::string_view>()>;

/// How many connections are busy with blobs at once, whoever wants them. Threads: any.
class Connections {
 public:
  explicit Connections(size_t most) : most_(most) {}
  /// Waits for one.
  void take();
  /// Up to so many, if they are free now. Returns how many.
  size_t take_free(size_t wanted);
  void give_back(size_t count);

 private:
  const size_t most_;
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  size_t taken_ = 0;
};

/// One of them, for as long as this lives.
class Held {
 public:
  explicit Held(Connections& connections) : connections_(connections) { connections_.take(); }
  ~Held() { connections_.give_back(1); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  Connections& connections_;
};

/// When one blob comes by several requests: when there is much of it, and who reads it mostly waits for the network.
/// Else one stream costs less: on a loopback several took 1.3 times the processor time.
struct RangeOptions {
  uint64_t least_bytes = 64u << 20;  // What is smaller comes by one.
  uint64_t probe_bytes = 8u << 20;   // By one at first, to see who waits for whom; 0: by several at once.
  uint64_t chunk_bytes = 4u << 20;   // Of each request. Two more than there are connections are in memory.
  size_t most_connections = 4;
};

/// Asks for the bytes from `from` to before `end` (empty: to the last), by a range request unless that is
/// all of them. A success has the status 200 or 206; what 206 gives is checked by the caller.
/// `stop`: of http::Call.
using OpenRange = std::function<Result<http::Stream>(uint64_t from, std::optional<uint64_t> end, const std::atomic<bool>* stop)>;

struct DownloadOf {
  uint64_t size_bytes = 0;
  uint64_t from = 0;  // What lies before is here already.
  std::string title;  // For messages.
};

/// The bytes in order. Waits for a connection, which is held until the last copy of what is returned is gone;
/// nothing is asked for before its first call. A server that does not do ranges, or not well, is asked for everything at once. What
/// comes is not checked but for its length: who reads it hashes it anyway.
/// Errors: those of `open`; unavailable (broke off again and again), corrupt (another length).
Source download(OpenRange open, DownloadOf of, RangeOptions options, std::shared_ptr<Connections> connections);

}  // namespace kist::registry

// Several requests for parts of one blob, put into order again. Module-private.
#pragma once

#include <deque>
#include <thread>
#include <vector>

#include "registry/download.h"

namespace kist::registry {

/// Whether an answer is of exactly these bytes of a blob of that size.
bool is_range(const http::Head& head, uint64_t from, uint64_t end, uint64_t size_bytes);

/// Threads fetch chunks, a few ahead of who reads them: memory is bounded by `chunk_bytes` for each connection
/// and two more. Threads: next() by one at a time. The destructor ends the requests.
class RangeFetcher {
 public:
  /// `first`: the answer to a request for the first chunk, from `of.from` on, that is_range() accepts.
  RangeFetcher(OpenRange open, const DownloadOf& of, const RangeOptions& options, size_t connections, http::Stream first);
  ~RangeFetcher();
  RangeFetcher(const RangeFetcher&) = delete;
  RangeFetcher& operator=(const RangeFetcher&) = delete;

  /// The next piece, valid until the next call; empty at the end, and before it when something was in the
  /// way: what is left is then to be had in another way.
  std::string_view next();
  /// Up to where all was given.
  uint64_t at() const { return at_; }

 private:
  struct Chunk {
    uint64_t begin;
    uint64_t end;
    std::string bytes;
    bool is_done = false;
  };
  void work();
  std::shared_ptr<Chunk> next_chunk();
  bool fetch(Chunk& chunk);
  bool read(http::Stream& stream, Chunk& chunk, bool& may_pass) const;

  const OpenRange open_;
  const DownloadOf of_;
  const RangeOptions options_;
  const size_t most_chunks_;
  std::atomic<bool> stopped_{false};
  uint64_t at_;
  std::shared_ptr<Chunk> current_;

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Chunk>> chunks_;  // In order; the first is what is read next.
  std::vector<std::string> free_;              // Buffers to use again.
  std::optional<http::Stream> first_;
  uint64_t handed_out_;
  bool has_failed_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace kist::registry

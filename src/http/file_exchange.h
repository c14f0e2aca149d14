// Brings one file, or the rest of one: from the socket into a PartFile.
#pragma once

#include <functional>
#include <mutex>

#include "http/exchange.h"
#include "http/loop.h"
#include "http/part_file.h"
#include "http/task_pool.h"

namespace kist::http {

/// The socket's thread only copies into a buffer; hashing and writing is done by tasks in `pool`,
/// at most one at a time for a file. When the buffer is full the exchange pauses, so memory stays
/// bounded at twice kBufferBytes a file.
class FileExchange final : public Exchange, public std::enable_shared_from_this<FileExchange> {
 public:
  struct Place {
    Loop& loop;
    TaskPool& pool;
    const Download& file;
    PartFile& part;                                      // Touched only by our tasks until on_end.
    std::function<void(uint64_t)> on_progress;           // The part's size, from a task.
    std::function<void(std::optional<Failure>)> on_end;  // Last call, from a task.
  };

  /// `place` and what it refers to must live until on_end has been called.
  FileExchange(const Config& config, const std::string& url, Place place);
  /// Asks for the rest when the part has bytes. Errors: invalid (URL).
  Result<void> start();

  Take on_body(std::string_view bytes) override;
  void on_done() override;

 private:
  static constexpr size_t kBufferBytes = 1 << 20;

  std::optional<Failure> begin_body();
  Failure wrong(Code code, std::string what) const;
  void schedule_drain();
  void drain();
  Result<void> store(std::string_view bytes);
  Result<void> prepare_part();
  std::optional<Failure> finish();
  std::optional<Failure> finish_416();

  Place place_;
  const uint64_t asked_from_;

  // The loop's thread only.
  bool begun_ = false;
  uint64_t received_end_ = 0;  // Offset in the file after the last byte that came.

  std::mutex mutex_;  // Guards what follows.
  std::string pending_;
  bool paused_ = false;
  bool draining_ = false;
  bool done_ = false;
  std::optional<Error> local_error_;

  // Tasks only.
  std::string taken_;
  bool part_prepared_ = false;
};

}  // namespace kist::http

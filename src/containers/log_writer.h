// What a container prints, kept in the CRI's log format, one line each:
//
//   2026-01-02T03:04:05.000000006Z stdout F what it said
//   2026-01-02T03:04:05.000000007Z stderr P the beginning of a line that goes on
//
// F ends a line, P does not (kubernetes/design-proposals-archive, kubelet-cri-logging).
#pragma once

#include <sys/uio.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace kist::containers {

enum class Stream { standard_output, standard_error };

/// Copies short lines only: the rest goes from the reader's buffer into the file. Memory is bounded
/// whatever is printed. Writes are not made durable.
class LogWriter {
 public:
  /// Appends to `path`. `max_bytes`: rotates (path → path.1 → path.2 …) before the file would grow
  /// beyond; 0: never. `max_files`: with the current one.
  static Result<LogWriter> open(std::string path, uint64_t max_bytes, uint64_t max_files);

  /// Never fails: what a full disk does not take is counted, and told in the log once it takes
  /// something again.
  void write(Stream stream, std::string_view bytes);
  uint64_t lost_bytes() const { return lost_bytes_; }

 private:
  LogWriter(std::string path, uint64_t max_bytes, uint64_t max_files)
      : path_(std::move(path)), max_bytes_(max_bytes), max_files_(max_files) {}
  Result<void> reopen();
  void add(std::string_view piece);
  void flush();
  void rotate();
  void tell_losses();

  static constexpr size_t kPieces = 128;
  static constexpr size_t kShortBytes = 1024;
  static constexpr size_t kGatherBytes = 512 << 10;
  std::string path_;
  uint64_t max_bytes_;
  uint64_t max_files_;
  os::Fd file_;
  uint64_t size_bytes_ = 0;
  uint64_t lost_bytes_ = 0;
  char last_byte_ = '\n';  // Of what is in the file.
  uint64_t told_lost_bytes_ = 0;
  std::array<iovec, kPieces> pieces_{};
  size_t piece_count_ = 0;
  // Memory that is not there before it is written to.
  std::unique_ptr<char[]> gathered_ = std::make_unique_for_overwrite<char[]>(kGatherBytes);
  size_t gathered_bytes_ = 0;
  size_t pending_bytes_ = 0;
};

}  // namespace kist::containers

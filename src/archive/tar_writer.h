// Tar streams, plain, written entry by entry: POSIX ustar with pax headers where they are needed. The same
// entries give the same bytes.
//
//   TarWriter tar = TRY(TarWriter::open(output));
//   TRY(tar.begin({.path = "etc/hosts", .mode = 0644, .size_bytes = 5}));
//   TRY(tar.write("hello"));
//   TRY(std::move(tar).finish());
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "archive/tar_reader.h"

namespace kist::archive {

/// Threads: one at a time.
class TarWriter {
 public:
  /// Takes the next bytes; an error of it ends the writing and is returned.
  using Output = std::function<Result<void>(std::string_view)>;

  static Result<TarWriter> open(Output output);
  TarWriter(TarWriter&&) noexcept;
  TarWriter& operator=(TarWriter&&) noexcept;
  ~TarWriter();

  /// The next entry; what is missing of the one before is zeros. Folders get their slash.
  /// Errors: invalid (what tar cannot say), those of the output.
  Result<void> begin(const TarEntry& entry);
  /// Content of it, at most its size in all: more is dropped.
  Result<void> write(std::string_view bytes);
  Result<void> finish() &&;

 private:
  struct State;
  explicit TarWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kist::archive

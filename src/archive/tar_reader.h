// Tar streams, plain or compressed, entry by entry and hardened: named formats only, sizes and
// counts bounded, names as raw bytes whatever the locale.
//
//   TarReader tar = TRY(TarReader::open(bytes, TarFilter::xz, {}));
//   TarEntry entry;
//   for (bool more = TRY(tar.next(entry)); more; more = TRY(tar.next(entry))) …
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kist::archive {

enum class TarFilter { none, gzip, xz, zstd, bzip2 };
enum class TarKind { file, folder, symlink, hardlink, character_device, block_device, fifo, other };

struct TarEntry {
  std::string path;  // As written: see clean_tar_path().
  TarKind kind = TarKind::file;
  uint32_t mode = 0;  // Permission bits, 0 to 07777.
  uint64_t uid = 0;
  uint64_t gid = 0;
  int64_t mtime_s = 0;
  uint64_t size_bytes = 0;  // Files only.
  std::string target;       // Symlinks: the text. Hard links: a path in this archive.
  bool is_sparse = false;   // What read() gives is not what lies in the stream.
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;  // Sorted by name.
};

struct TarLimits {
  uint64_t entries = 1'000'000;
  uint64_t unpacked_bytes = 64ull << 30;  // Of all files together.
  size_t path_bytes = 4096;               // Of a path or a target.
};

/// Threads: one at a time. The bytes or the source must outlive the reader.
class TarReader {
 public:
  /// Gives the next piece of the (compressed) stream; empty at its end.
  using Source = std::function<Result<std::string_view>()>;

  static Result<TarReader> open(Source source, TarFilter filter, const TarLimits& limits);
  static Result<TarReader> open(std::string_view bytes, TarFilter filter, const TarLimits& limits);

  TarReader(TarReader&&) noexcept;
  TarReader& operator=(TarReader&&) noexcept;
  ~TarReader();

  /// Goes to the next entry, past what was not read of this one; false at the end.
  /// Errors: corrupt (a damaged or truncated stream), invalid (over a limit), those of the source.
  Result<bool> next(TarEntry& entry);
  /// The next piece of this entry's content, valid until the next call; empty at its end. Holes of
  /// sparse files come as zeros.
  Result<std::string_view> read();
  /// How many bytes of the (plain) stream were used. After next(): where the content of a file that
  /// is not sparse begins.
  uint64_t position() const;

 private:
  struct State;
  explicit TarReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// A path of an archive as a path of a tree: without "./", doubled and trailing slashes; "" for
/// the root itself. Errors: invalid (absolute, or a ".." in it).
Result<std::string> clean_tar_path(std::string_view raw);

}  // namespace kist::archive

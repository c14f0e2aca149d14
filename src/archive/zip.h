// Reads zip archives that strangers made. Wheels are zips, and what matters for them is: any entry
// at any time, from several threads at once, in bounded memory, and never a byte that the archive
// describes in two ways.
//
//   const ZipFile zip = TRY(ZipFile::open(path));
//   ZipScratch scratch;                              // One a thread, reused.
//   for (const ZipEntry& entry : zip.entries()) {
//     const std::string_view bytes = TRY(zip.read(entry, scratch));
//   }
//
// What open() proves for the whole archive, before any content is read:
//   - one central directory, which ends exactly where the end record begins; zip64 records agree
//     with the older ones; counts and lengths agree; one disk; no encryption;
//   - names are UTF-8 without NUL and control characters, relative, and never contain "..";
//   - entries do not overlap; each is inside the file, before the directory;
//   - the declared sizes are within the limits, and possible for their compressed sizes.
// What read() and read_chunks() prove for an entry: its local header (and data descriptor) agrees
// with the directory in name, method, sizes and CRC; the content has exactly the declared size and
// CRC, and uses up exactly the declared compressed bytes.
// Two entries of one name are legal here; who installs must decide (python/install.h does).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "os/fd.h"

namespace kist::archive {

struct ZipLimits {
  uint64_t entries = 2'000'000;
  uint64_t directory_bytes = 256u << 20;
  uint64_t unpacked_bytes = 64ull << 30;  // Of all entries together, as declared.
  /// Unpacked bytes per byte of the archive; archives below `ratio_floor_bytes` may exceed it.
  uint64_t ratio = 200;
  uint64_t ratio_floor_bytes = 1ull << 30;
};

struct ZipEntry {
  /// Checked, and normalised: no "." and no empty components. A folder's has no trailing slash.
  std::string_view name;
  uint64_t size_bytes = 0;
  uint64_t packed_bytes = 0;
  uint32_t crc = 0;
  uint16_t unix_mode = 0;  // With the type bits; 0 when the archive does not say.
  bool is_folder = false;

  // Only the reader uses these.
  std::string_view raw_name;
  uint64_t header_offset = 0;
  uint64_t end_limit = 0;  // Where the next entry, or the directory, begins.
  uint16_t method = 0;
  uint16_t flags = 0;
};

/// Buffers and decompressors, reused from one entry to the next. One thread at a time. It keeps at
/// most ZipFile::kWholeBytes twice, plus 0.1 MB.
class ZipScratch {
 public:
  ZipScratch();
  ~ZipScratch();
  ZipScratch(ZipScratch&&) noexcept;
  ZipScratch& operator=(ZipScratch&&) noexcept;

 private:
  friend class ZipReader;
  struct State;
  std::unique_ptr<State> state_;
};

/// Threads: const methods from any thread. The file must not change meanwhile; if it does, contents
/// fail their CRC or the reads fail, and nothing worse (it is read, not mapped).
class ZipFile {
 public:
  /// Above this an entry, packed or not, is not put into memory as a whole. Such that numpy's and
  /// scipy's largest library, 25 MB of OpenBLAS, takes the faster of the two ways.
  static constexpr uint64_t kWholeBytes = 32u << 20;

  /// Errors: those of opening a file; invalid (not a zip, one that contradicts itself, a hostile
  /// name, above a limit), unsupported (encrypted, several disks, a method other than stored and
  /// deflate).
  static Result<ZipFile> open(const std::string& path, const ZipLimits& limits = {});

  /// In the order of the directory. Names live as long as this object.
  std::span<const ZipEntry> entries() const { return entries_; }
  uint64_t file_bytes() const { return file_bytes_; }
  /// The first entry of this name, or null. Linear.
  const ZipEntry* find(std::string_view name) const;

  /// The whole content; valid until the scratch is used again.
  /// Errors: corrupt; invalid when the entry is larger than kWholeBytes.
  Result<std::string_view> read(const ZipEntry& entry, ZipScratch& scratch) const;

  /// The content in pieces of at most kWholeBytes (none for an empty entry), in memory that does not
  /// depend on its size. The pieces are given away before the CRC is known: keep what was made of
  /// them only if this succeeds. A failure of `each` is passed on.
  Result<void> read_chunks(const ZipEntry& entry, ZipScratch& scratch,
                           const std::function<Result<void>(std::string_view)>& each) const;

 private:
  ZipFile() = default;
  friend class ZipReader;
  friend class ZipDirectory;

  os::Fd fd_;
  uint64_t file_bytes_ = 0;
  std::unique_ptr<std::string> directory_;                    // On the heap: names point into it.
  std::unique_ptr<std::deque<std::string>> normalised_names_;  // Those that had to be changed.
  std::vector<ZipEntry> entries_;
};

}  // namespace kist::archive

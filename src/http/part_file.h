// A file on its way here: PATH.part grows, is hashed while it grows, and becomes PATH when whole.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/client.h"
#include "oci/digest.h"
#include "os/fd.h"

namespace kist::http {

/// Threads: one at a time. Processes: an flock on the part keeps a second one out. Durability: none
/// is promised; after a power cut the file may be short, so who needs it checks it again.
///
/// Beside the part lies PATH.part.etag: the validator of the answer that it came from, so that a
/// later process can ask for the rest of exactly that.
class PartFile {
 public:
  /// Opens or makes the part of `file` and hashes what is in it. A part that cannot be continued
  /// (longer than the wanted size, or neither digest nor validator would tell that it is another
  /// version) is emptied. Empty result: another process is busy with it. `stop` ends the hashing
  /// early with unavailable.
  static Result<std::optional<PartFile>> open(const Download& file, const std::atomic<bool>& stop);

  uint64_t size_bytes() const { return size_bytes_; }
  /// For If-Range: a strong ETag or a date; empty when the server gave none.
  const std::string& validator() const { return validator_; }
  /// Whether bytes of an earlier process are in it: a wrong digest is then no fault of the server.
  bool is_continued() const { return continued_; }
  /// The file is already at its path, whole and right: somebody else has brought it.
  bool is_there() const { return there_; }
  /// After discard(), or finish() with corrupt: open another one.
  bool is_gone() const { return gone_; }

  /// Errors: those of writing.
  Result<void> append(std::string_view bytes);
  /// Throws away what is there, for another version of the file.
  Result<void> restart();
  Result<void> set_validator(std::string validator);
  /// Checks size and digest and renames. Errors: corrupt, after which the part is gone.
  Result<void> finish();
  void discard();

 private:
  PartFile(const Download& file, os::Fd fd);
  Result<void> hash_kept(const std::atomic<bool>& stop);
  Result<bool> already_there(const std::atomic<bool>& stop) const;
  Result<void> check() const;

  const Download* file_;
  std::string part_path_;
  std::string validator_path_;
  os::Fd fd_;
  oci::Sha256 hasher_;
  std::optional<oci::Digest> digest_;  // Once finished.
  uint64_t size_bytes_ = 0;
  std::string validator_;
  bool continued_ = false;
  bool there_ = false;
  bool gone_ = false;
};

}  // namespace kist::http

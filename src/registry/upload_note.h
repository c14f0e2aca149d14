// Where an upload goes on, for the process after this one. Module-private.
//
// A file of three lines below FOLDER, named by what is uploaded where; docs/formats/store.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "oci/digest.h"
#include "os/fd.h"

namespace kist::registry {

/// Processes: a lock on the file keeps a second one from the same upload. Durability: none; what cannot be read
/// counts as not there, and registries check what they are given. Mode 0600, since addresses may hold tokens.
class UploadNote {
 public:
  /// `place`: "host/repository". Empty: another process has it, or nothing can be written there.
  static std::optional<UploadNote> open(const std::string& folder, std::string_view place, const oci::Digest& digest);

  /// What an earlier process noted; empty when there is none.
  const std::string& location() const { return location_; }
  void write(std::string_view location);
  /// It has ended, one way or the other.
  void forget();

 private:
  UploadNote(std::string path, os::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  os::Fd fd_;
  std::string location_;
};

}  // namespace kist::registry

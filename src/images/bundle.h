// A file or folder that images come in: an OCI layout (folder or tar), or what `docker save` and
// `podman save` write; a tar may be compressed, and may be a pipe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "archive/decompress.h"
#include "os/fd.h"

namespace kist::images {

/// Named members and their bytes. Nothing is unpacked: members are read where they lie.
/// Threads: all const methods from any.
class Bundle {
 public:
  /// `scratch_folder`: where a compressed archive or a pipe is put, plain and without a name, since
  /// its members are not read in their order. Errors: not_found, corrupt, unavailable.
  static Result<Bundle> open(const std::string& path, const std::string& scratch_folder);
  static Result<Bundle> open(const os::Fd& stream, const std::string& scratch_folder);

  bool has(const std::string& name) const;
  /// Errors: not_found, corrupt (too many links, a file that ends early).
  Result<archive::Source> open_member(const std::string& name) const;
  /// Errors: those of open_member(), invalid (more than `limit_bytes`).
  Result<std::string> read_member(const std::string& name, uint64_t limit_bytes) const;

 private:
  struct Member {
    uint64_t offset = 0;
    uint64_t size_bytes = 0;
    std::string link;  // Another member; then there is nothing else.
  };
  Bundle() = default;
  Result<void> index();
  Result<Member> find(const std::string& name) const;

  std::shared_ptr<os::Fd> folder_;
  std::shared_ptr<os::Fd> file_;
  std::map<std::string, Member> members_;
};

}  // namespace kist::images

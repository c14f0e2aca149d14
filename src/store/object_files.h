// Writing files that are named by their content: objects and trees. Module-private.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "os/fd.h"
#include "store/object_sink.h"

namespace kist::store {

/// Threads: all methods from any thread. Processes: any number write into one store; of two
/// writers of the same content both succeed and one copy remains. Nothing is durable until the
/// caller syncs the file system.
class ObjectFiles {
 public:
  /// `temporary_folder`: for large contents, whose name is known only at their end; on the same
  /// file system. `tag`: makes names of temporary files ours alone.
  static Result<ObjectFiles> open(const std::string& home, std::string temporary_folder,
                                  std::string tag);

  Result<Object> put(std::string_view bytes, uint32_t mode);
  /// The writer must not outlive this.
  Result<std::unique_ptr<ObjectWriter>> begin(uint32_t mode);
  /// Makes the file at `path`, open as `fd` and written, this object. It is gone from there after that.
  Result<void> adopt(const std::string& path, os::Fd fd, const Object& object, uint32_t mode);
  Result<oci::Digest> put_tree(std::string_view encoded);
  /// Makes `path` below `folder` a hard link to an object. An inode that has as many links as the
  /// file system allows (65,000 on ext4, which empty files reach) gets a spare, ".~1", ".~2" ….
  /// Errors: not_found (no such object), unavailable.
  Result<void> link(const oci::Digest& object, uint32_t mode, const os::Fd& folder,
                    const std::string& path);
  /// Makes `path` below `folder` a copy of an object, with mode 0600.
  Result<void> copy(const oci::Digest& object, uint32_t mode, const os::Fd& folder,
                    const std::string& path);
  const std::string& home() const { return home_; }
  /// Whether anything was written, so that there is something to make durable.
  bool has_written() const { return written_->load(); }

 private:
  class Writer;
  ObjectFiles(std::string home, std::string temporary_folder, std::string tag);
  std::string temporary_name();
  Result<void> write_file(const os::Fd& folder, const std::string& name, std::string_view bytes,
                          uint32_t mode);
  Result<void> make_spare(const std::string& name, const std::string& spare, uint32_t mode);
  Result<void> copy_file(const std::string& name, const os::Fd& folder, const std::string& path);
  Result<void> publish(const std::string& temporary, const os::Fd& folder, const std::string& name,
                       uint64_t size_bytes);

  std::string home_;
  std::string temporary_folder_;
  std::string tag_;
  os::Fd objects_;
  os::Fd trees_;
  // Behind pointers, so that this can be moved.
  std::unique_ptr<std::atomic<uint64_t>> counter_;
  std::unique_ptr<std::atomic<bool>> written_;
};

}  // namespace kist::store

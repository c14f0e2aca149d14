// An ObjectSink that keeps contents in memory, or only names them: for tests, and for installers
// that want to know what a tree would be.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "store/object_sink.h"

namespace kist::store {

/// Threads: all methods from any thread.
class MemorySink final : public ObjectSink {
 public:
  /// `keep`: whether contents can be read back with content().
  explicit MemorySink(bool keep = true) : keep_(keep) {}

  Result<Object> put(std::string_view bytes, uint32_t mode) override;
  Result<std::unique_ptr<ObjectWriter>> begin(uint32_t mode) override;

  /// Empty when it was never put, or is not kept.
  std::optional<std::string> content(const oci::Digest& object) const;
  size_t count() const;

 private:
  class Writer;
  bool keep_;
  mutable std::mutex mutex_;
  std::map<oci::Digest, std::string> contents_;
};

}  // namespace kist::store

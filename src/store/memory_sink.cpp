#include "store/memory_sink.h"

namespace kist::store {

// Hashes as it goes, so that a sink that keeps nothing needs no memory either.
class MemorySink::Writer final : public ObjectWriter {
 public:
  explicit Writer(MemorySink& sink) : sink_(sink) {}

  Result<void> write(std::string_view bytes) override {
    hasher_.update(bytes);
    size_bytes_ += bytes.size();
    if (sink_.keep_) content_ += bytes;
    return {};
  }

  Result<Object> finish() override {
    const Object object{.digest = hasher_.finish(), .size_bytes = size_bytes_};
    const std::lock_guard lock(sink_.mutex_);
    sink_.contents_.try_emplace(object.digest, std::move(content_));
    return object;
  }

 private:
  MemorySink& sink_;
  oci::Sha256 hasher_;
  uint64_t size_bytes_ = 0;
  std::string content_;
};

Result<Object> MemorySink::put(std::string_view bytes, uint32_t /*mode*/) {
  const Object object{.digest = oci::Sha256::of(bytes), .size_bytes = bytes.size()};
  const std::lock_guard lock(mutex_);
  contents_.try_emplace(object.digest, keep_ ? bytes : std::string_view());
  return object;
}

Result<std::unique_ptr<ObjectWriter>> MemorySink::begin(uint32_t /*mode*/) {
  return std::unique_ptr<ObjectWriter>(std::make_unique<Writer>(*this));
}

std::optional<std::string> MemorySink::content(const oci::Digest& object) const {
  const std::lock_guard lock(mutex_);
  const auto found = contents_.find(object);
  if (!keep_ || found == contents_.end()) return std::nullopt;
  return found->second;
}

size_t MemorySink::count() const {
  const std::lock_guard lock(mutex_);
  return contents_.size();
}

}  // namespace kist::store

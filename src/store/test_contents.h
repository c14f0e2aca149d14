// Shared by the tests of layers: contents without a store.
#pragma once

#include <algorithm>
#include <map>

#include "store/layer.h"
#include "store/test_home.h"

namespace kist::store {

// Contents by digest, in pieces of a chosen size.
class TestContents final : public Contents {
 public:
  explicit TestContents(size_t piece_bytes = 1u << 20) : piece_bytes_(piece_bytes) {}
  Entry add(const std::string& path, std::string_view bytes, uint32_t mode = 0644) {
    Entry entry = file(path, bytes, mode);
    contents_.insert_or_assign(*entry.object, std::string(bytes));
    return entry;
  }
  Result<void> read(const Entry& wanted, const Output& output) const override {
    std::string_view bytes = contents_.at(*wanted.object);
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece_bytes_, bytes.size())))
      TRY(output(bytes.substr(0, piece_bytes_)));
    return {};
  }

 private:
  size_t piece_bytes_;
  std::map<oci::Digest, std::string> contents_;
};

inline std::string random_bytes(size_t count) {
  std::string out;
  for (uint64_t i = 0; out.size() < count; ++i) out += oci::Sha256::of(fmt::format("{}", i)).hex();
  out.resize(count);
  return out;
}

}  // namespace kist::store

// A tar of files, written member by member. Module-private.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "store/layer.h"
#include "store/tar_header.h"

namespace kist::images {

class TarFile {
 public:
  explicit TarFile(const store::Output& output) : output_(output) {}

  /// False when a member of that name was written before.
  Result<bool> begin(const std::string& name, uint64_t size_bytes) {
    if (!names_.insert(name).second) return false;
    store::Entry entry;
    entry.path = name;
    entry.mode = 0644;
    entry.size_bytes = size_bytes;
    const std::string header = TRY(store::tar_header(entry));
    TRY(output_(header));
    left_ = size_bytes;
    padding_ = (store::kTarBlock - size_bytes % store::kTarBlock) % store::kTarBlock;
    return true;
  }

  /// skopeo, run by a plain user, wants to own the folders that no member stands for.
  Result<void> add_folder(const std::string& name) {
    store::Entry entry;
    entry.path = name;
    entry.kind = store::Kind::folder;
    entry.mode = 0755;
    const std::string header = TRY(store::tar_header(entry));
    return output_(header);
  }

  Result<void> write(std::string_view bytes) {
    if (bytes.size() > left_)
      return Error(Code::corrupt, "a layer is longer than its record says").hint("`kist fsck --full`");
    left_ -= bytes.size();
    return output_(bytes);
  }

  Result<void> end() {
    if (left_ != 0)
      return Error(Code::corrupt, "a layer is {} bytes shorter than its record says", left_)
          .hint("`kist fsck --full`");
    return padding_ == 0 ? Result<void>() : output_(std::string(padding_, '\0'));
  }

  Result<void> add(const std::string& name, std::string_view bytes) {
    const bool is_new = TRY(begin(name, bytes.size()));
    if (!is_new) return {};
    TRY(write(bytes));
    return end();
  }

  Result<void> finish() { return output_(std::string(2 * store::kTarBlock, '\0')); }

 private:
  const store::Output& output_;
  std::set<std::string> names_;
  uint64_t left_ = 0;
  size_t padding_ = 0;
};

}  // namespace kist::images

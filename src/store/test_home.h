// Shared by the tests of this module: a store that goes away, and short ways to make trees.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "os/files.h"
#include "store/store.h"

namespace kist::store {

/// The value, or a failed test with the whole error.
template <class T>
T must(Result<T> result, const char* what = "") {
  if (!result.has_value()) {
    ADD_FAILURE() << what << result.error().render();
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Memory, where a sync costs nothing, or a disk, of which EROFS images can be mounted.
enum class Medium { memory, disk };

inline std::string test_folder(Medium medium = Medium::memory) {
  const bool has_memory = ::access("/dev/shm", W_OK) == 0;
  return medium == Medium::memory && has_memory ? "/dev/shm" : "/var/tmp";  // /tmp is often memory.
}

class TestHome {
 public:
  explicit TestHome(Medium medium = Medium::memory)
      : folder_(must(os::TempDir::make(test_folder(medium), "kist-store-test."))) {}
  std::string path() const { return os::join(folder_.path(), "home"); }
  std::string beside(std::string_view name) const { return os::join(folder_.path(), name); }
  Store open() const { return must(Store::open(path())); }

 private:
  os::TempDir folder_;
};

inline Entry folder(std::string path, uint32_t mode = 0755) {
  Entry entry;
  entry.path = std::move(path);
  entry.kind = Kind::folder;
  entry.mode = mode;
  return entry;
}

inline Entry file(std::string path, std::string_view bytes = "", uint32_t mode = 0644) {
  Entry entry;
  entry.path = std::move(path);
  entry.mode = mode;
  entry.object = oci::Sha256::of(bytes);
  entry.size_bytes = bytes.size();
  return entry;
}

inline Entry symlink(std::string path, std::string target) {
  Entry entry;
  entry.path = std::move(path);
  entry.kind = Kind::symlink;
  entry.mode = 0777;
  entry.target = std::move(target);
  return entry;
}

inline std::string paths_of(const Tree& tree) {
  std::string out;
  for (const Entry& entry : tree.entries()) out += (out.empty() ? "" : " ") + entry.path;
  return out;
}

}  // namespace kist::store

// What a store holds and what is needed of it: shared by gc, du and fsck. Module-private.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "os/files.h"
#include "store/layout.h"
#include "store/root.h"
#include "store/store.h"

namespace kist::store {

struct NameRecord {
  std::string name;
  std::optional<oci::Digest> tree;  // Empty for a torn file.
  int64_t used_s = 0;               // When it was last asked for, to a day.
};
Result<std::vector<NameRecord>> list_name_records(const Store& store);

/// One line of a file "roots" or "<name>.roots" in projects/<key>/, images/records/ or
/// containers/ids/<id>/: a tree that an environment, an image or a container needs as long as the file is
/// there.
struct Pin {
  enum class Owner { environment, image, container };
  Owner owner = Owner::environment;
  std::string name;  // "<key>/<environment>", the hex of a manifest's digest, "<id>".
  oci::Digest tree;
};
Result<std::vector<Pin>> list_pins(const Store& store);

struct RootRecord {
  std::string folder;
  Variant variant;
  oci::Digest tree;
  std::optional<oci::Digest> base;
};
Result<std::vector<RootRecord>> list_roots(const Store& store);

/// Calls visit(shard folder, its path, file name) for every file in objects/ or trees/.
Result<void> each_file(
    const Store& store, std::string_view kind,
    const std::function<Result<void>(const os::Fd& shard, const std::string& name,
                                     std::string_view shard_name)>& visit);

/// An object file: content and the mode that is part of its name.
struct ObjectKey {
  oci::Digest digest;
  uint32_t mode;
  explicit ObjectKey(const oci::Digest& d, uint32_t m) : digest(d), mode(m & 0777) {}
  bool operator==(const ObjectKey&) const = default;
};
struct ObjectKeyHash {
  size_t operator()(const ObjectKey& key) const {
    size_t out;
    static_assert(sizeof out <= oci::Digest::kBytes);
    std::copy_n(key.digest.bytes().data(), sizeof out, reinterpret_cast<uint8_t*>(&out));
    return out ^ key.mode;
  }
};
struct DigestHash {
  size_t operator()(const oci::Digest& digest) const {
    return ObjectKeyHash()(ObjectKey(digest, 0));
  }
};
using DigestSet = std::unordered_set<oci::Digest, DigestHash>;
using ObjectSet = std::unordered_set<ObjectKey, ObjectKeyHash>;

/// Bytes that a file takes on the disk.
struct DiskFile {
  uint64_t disk_bytes = 0;
  uint64_t size_bytes = 0;
  uint64_t inode = 0;
  uint64_t links = 0;
  int64_t changed_s = 0;
};
std::optional<DiskFile> look_at(const os::Fd& folder, const std::string& name);

/// Sums what removing the tree of files at `path` gives back: all that is not linked from
/// elsewhere. Calls linked(inode) for each file that is.
uint64_t own_disk_bytes(const std::string& path, const std::function<void(uint64_t)>& linked);

}  // namespace kist::store

// A store with things in it, for the tests of what works on whole stores.
#pragma once

#include <sys/stat.h>

#include "store/fsck.h"
#include "store/gc.h"
#include "store/layout.h"
#include "store/root.h"
#include "store/test_home.h"

namespace kist::store {

// A store to which packages (names of one tree) and environments (trees of a project) are added.
class World {
 public:
  World() : store(home.open()) {}

  Tree put(const std::vector<std::pair<std::string, std::string>>& files,
           const std::string& name = "") {
    Transaction tx = must(store.begin());
    TreeBuilder builder(tx);
    for (const auto& [path, bytes] : files) must(builder.file(path, 0644, bytes));
    const Tree tree = must(std::move(builder).finish());
    must(tx.put_tree(tree));
    if (!name.empty()) tx.name(name, tree.digest());
    must(std::move(tx).commit());
    return tree;
  }

  Root root(const Tree& tree, Variant variant) {
    Transaction tx = must(store.begin());
    Root made = must(make_root(store, tx, tree, tree.digest(), variant));
    must(std::move(tx).commit());
    return made;
  }

  void pin(const std::string& file, const std::string& text) {
    const std::string path = fmt::format("{}/projects/{}", home.path(), file);
    must(os::make_folders(os::parent_of(path)));
    must(os::write_file_atomically(path, text));
  }

  void age(const std::string& name, int64_t days) {
    const timespec time = {::time(nullptr) - days * 86400, 0};
    const timespec times[2] = {time, time};
    const std::string path = fmt::format("{}/names/{}", home.path(), name);
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }

  GcReport collect(GcOptions options = {}) { return must(collect_garbage(store, options)); }
  bool has(std::string_view bytes, uint32_t mode = 0644) {
    return os::exists(store.object_path(oci::Sha256::of(bytes), mode));
  }
  std::string path_of(const Tree& tree) const {
    return fmt::format("{}/trees/{}", home.path(), tree_name(tree.digest()));
  }
  bool has(const Tree& tree) { return store.tree(tree.digest()).has_value(); }
  FsckReport check() {
    os::Workers workers(1);
    NoProgress progress;
    return must(check_store(store, {.level = FsckLevel::full, .refetch = {}}, workers, progress));
  }

  TestHome home;
  Store store;
};

}  // namespace kist::store

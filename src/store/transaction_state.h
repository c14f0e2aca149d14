// What a Transaction holds; the parts of this module that work inside one share it. Module-private.
#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "os/files.h"
#include "store/name_files.h"
#include "store/object_files.h"
#include "store/staging.h"
#include "store/store.h"

namespace kist::store {

struct Transaction::State {
  std::string home;
  os::FileLock lock;  // Shared: gc waits for us.
  Staging staging;
  ObjectFiles files;
  std::mutex mutex;  // Guards names, published and roots.
  std::vector<NamedTree> names;
  std::vector<std::pair<std::string, std::string>> published;  // Paths below home, and contents.
  std::vector<std::string> roots;  // Folders of roots that become durable with us.
  uint64_t next_root = 0;          // Guarded too: names of folders in staging.
  bool finished = false;
};

}  // namespace kist::store

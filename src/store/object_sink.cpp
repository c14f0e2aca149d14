#include "store/object_sink.h"

#include "base/text.h"

namespace kist::store {

void TreeBuilder::folder(std::string path, uint32_t mode) {
  Entry entry;
  entry.path = std::move(path);
  entry.kind = Kind::folder;
  entry.mode = mode;
  entries_.push_back(std::move(entry));
}

void TreeBuilder::symlink(std::string path, std::string target) {
  Entry entry;
  entry.path = std::move(path);
  entry.kind = Kind::symlink;
  entry.mode = 0777;
  entry.target = std::move(target);
  entries_.push_back(std::move(entry));
}

Result<void> TreeBuilder::file(std::string path, uint32_t mode, std::string_view bytes) {
  const Object object = TRY(sink_.put(bytes, mode), "storing '{}'", printable(path));
  Entry entry;
  entry.path = std::move(path);
  entry.kind = Kind::file;
  entry.mode = mode;
  entry.object = object.digest;
  entry.size_bytes = object.size_bytes;
  entries_.push_back(std::move(entry));
  return {};
}

Result<Tree> TreeBuilder::finish() && { return Tree::make(std::move(entries_)); }

}  // namespace kist::store

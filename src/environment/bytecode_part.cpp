#include "environment/bytecode_part.h"

#include <set>

namespace kist::environment {

Result<store::Tree> bytecode_part(const store::Tree& complete,
                                  const std::vector<NamedTree>& parts) {
  std::vector<store::Part> views;
  for (const NamedTree& part : parts) views.push_back({part.name, &part.tree});
  const store::Tree known = TRY(store::merge(views));
  // Also the folders above, since Tree::make() would give those that it adds a mode of its own.
  std::set<std::string_view> wanted;
  for (const store::Entry& entry : complete.entries()) {
    if (known.find(entry.path) != nullptr) continue;
    std::string_view path = entry.path;
    while (wanted.insert(path).second && path.find('/') != std::string_view::npos)
      path = path.substr(0, path.rfind('/'));
  }
  std::vector<store::Entry> entries;
  for (const store::Entry& entry : complete.entries())
    if (wanted.contains(entry.path)) entries.push_back(entry);
  return store::Tree::make(std::move(entries));
}

}  // namespace kist::environment

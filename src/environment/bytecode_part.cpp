#include "environment/bytecode_part.h"

#include <map>
#include <set>

namespace kist::environment {
namespace {

constexpr size_t kNobody = SIZE_MAX;
constexpr std::string_view kFolder = "__pycache__/";

// "a/__pycache__/b.cpython-313.pyc" comes from "a/b.py" (PEP 3147); empty for what is no byte-code.
std::string source_of(std::string_view path) {
  const size_t folder = path.rfind(kFolder);
  if (folder == std::string_view::npos || (folder > 0 && path[folder - 1] != '/')) return "";
  const std::string_view name = path.substr(folder + kFolder.size());
  const size_t tag = name.find(".cpython-");
  if (tag == std::string_view::npos || !name.ends_with(".pyc")) return "";
  return std::string(path.substr(0, folder)) + std::string(name.substr(0, tag)) + ".py";
}

// Also the folders above, since Tree::make() would give those that it adds a mode of its own.
void add_with_folders(std::string_view path, std::set<std::string_view>& wanted) {
  while (wanted.insert(path).second && path.find('/') != std::string_view::npos)
    path = path.substr(0, path.rfind('/'));
}

Result<store::Tree> entries_of(const store::Tree& complete, const std::set<std::string_view>& wanted) {
  std::vector<store::Entry> entries;
  for (const store::Entry& entry : complete.entries())
    if (wanted.contains(entry.path)) entries.push_back(entry);
  return store::Tree::make(std::move(entries));
}

}  // namespace

Result<store::Tree> share_out_bytecode(const store::Tree& complete, std::vector<NamedTree>& parts,
                                       const std::function<bool(const std::string& name)>& takes) {
  std::vector<store::Part> views;
  for (const NamedTree& part : parts) views.push_back({part.name, &part.tree});
  const store::Tree known = TRY(store::merge(views));
  const auto owner_of = [&](std::string_view path) {
    const std::string source = source_of(path);
    for (size_t i = 0; i < parts.size() && !source.empty(); ++i)
      if (takes(parts[i].name) && parts[i].tree.find(source) != nullptr) return i;
    return kNobody;
  };
  std::map<size_t, std::set<std::string_view>> wanted;
  for (const store::Entry& entry : complete.entries()) {
    if (known.find(entry.path) != nullptr) continue;
    // A folder goes where its files go; an empty one stays with nobody.
    if (entry.kind == store::Kind::folder) continue;
    add_with_folders(entry.path, wanted[owner_of(entry.path)]);
  }
  store::Tree rest = TRY(entries_of(complete, wanted[kNobody]));
  wanted.erase(kNobody);
  for (const auto& [i, paths] : wanted) {
    const store::Tree bytecode = TRY(entries_of(complete, paths));
    const store::Part both[] = {{parts[i].name, &parts[i].tree}, {"its byte-code", &bytecode}};
    parts[i].tree = TRY(store::merge(both));
  }
  return rest;
}

}  // namespace kist::environment

#include "engine/image_layers.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "store/layer.h"

namespace kist::engine {
namespace {

using environment::NamedTree;

// Installed to compressed, where the lock does not say the latter: not every index tells sizes.
constexpr uint64_t kUsualRatio = 3;

store::LayerKind kind_of(std::string_view part) {
  if (part == kBasePart) return store::LayerKind::base;
  if (part == kDebianPart) return store::LayerKind::debian;
  if (part == kInterpreterPart || part == "virtual environment") return store::LayerKind::interpreter;
  if (part == kBytecodePart) return store::LayerKind::bytecode;
  return store::LayerKind::python;
}

// Normalised name of a part: "numpy 2.1.0" gives "numpy".
std::string name_of(const std::string& part) { return part.substr(0, part.find(' ')); }

std::map<std::string, uint64_t> compressed_sizes(const python::Lock& lock) {
  std::map<std::string, uint64_t> sizes;
  for (const python::LockedPackage& package : lock.packages) {
    uint64_t size = 0;
    for (const python::LockedFile& wheel : package.wheels)
      size = std::max(size, wheel.size_bytes.value_or(0));
    sizes.emplace(package.name, size);
  }
  return sizes;
}

std::vector<store::LayerPackage> packages_of(const std::vector<NamedTree>& parts, const python::Lock& lock) {
  const auto compressed = compressed_sizes(lock);
  std::vector<store::LayerPackage> packages;
  for (const NamedTree& part : parts) {
    const store::LayerKind kind = kind_of(part.name);
    const std::string name = kind == store::LayerKind::python ? name_of(part.name) : part.name;
    const auto size = compressed.find(name);
    const uint64_t installed = part.tree.size_bytes();
    const uint64_t locked = size == compressed.end() ? 0 : size->second;
    packages.push_back({name, kind, locked != 0 ? locked : installed / kUsualRatio, installed});
  }
  return packages;
}

}  // namespace

bool is_package_part(const std::string& name) { return kind_of(name) == store::LayerKind::python; }

Result<std::vector<LayerTree>> layers_of(const std::vector<NamedTree>& parts, const python::Lock& lock) {
  std::vector<LayerTree> layers;
  for (const store::LayerSlot& slot : store::plan_layers(packages_of(parts, lock))) {
    std::vector<store::Part> views;
    for (const size_t package : slot.packages) views.push_back({parts[package].name, &parts[package].tree});
    store::Tree tree = TRY(store::merge(views), "layer {}", slot.name);
    if (!slot.is_split) {
      layers.push_back({.name = slot.name, .tree = std::move(tree)});
      continue;
    }
    size_t number = 0;
    for (store::Tree& piece : store::split_tree(tree, store::kMaxPartBytes))
      layers.push_back({.name = fmt::format("{}-{}", slot.name, ++number), .tree = std::move(piece)});
  }
  return layers;
}

}  // namespace kist::engine

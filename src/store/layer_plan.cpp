#include "store/layer_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "oci/digest.h"

namespace kist::store {
namespace {

// How many parts split_tree() can make of it: each part but the last is more than half full, or is
// followed by a file that did not fit.
size_t max_layers_of(const LayerPackage& package) {
  if (package.installed_bytes <= kSplitAboveBytes) return 1;
  return static_cast<size_t>(2 * (package.installed_bytes / kMaxPartBytes) + 1);
}

size_t bucket_of(const std::string& name) {
  return oci::Sha256::of(name).bytes()[0] % kTailBuckets;
}

std::string fixed_name(LayerKind kind) {
  switch (kind) {
    case LayerKind::base:
      return "base";
    case LayerKind::debian:
      return "debian";
    case LayerKind::interpreter:
      return "interpreter";
    case LayerKind::python:
      return "python";
    case LayerKind::bytecode:
      return "bytecode";
    case LayerKind::application:
      return "application";
    case LayerKind::metadata:
      return "metadata";
  }
  return "";
}

class Planner {
 public:
  explicit Planner(std::span<const LayerPackage> packages) : packages_(packages) {}

  std::vector<LayerSlot> run() {
    sort_python();
    demote();
    for (const LayerKind kind : {LayerKind::base, LayerKind::debian, LayerKind::interpreter})
      add_fixed(kind);
    for (const size_t i : solos_) add_solo(i);
    add_tail();
    for (const LayerKind kind : {LayerKind::bytecode, LayerKind::application, LayerKind::metadata})
      add_fixed(kind);
    return std::move(slots_);
  }

 private:
  void sort_python() {
    for (size_t i = 0; i < packages_.size(); ++i) {
      if (packages_[i].kind != LayerKind::python) continue;
      (packages_[i].compressed_bytes >= kMinSoloBytes ? solos_ : tail_).push_back(i);
    }
    std::sort(solos_.begin(), solos_.end(), [&](size_t a, size_t b) {
      const LayerPackage& x = packages_[a];
      const LayerPackage& y = packages_[b];
      if (x.compressed_bytes != y.compressed_bytes) return x.compressed_bytes > y.compressed_bytes;
      return x.name < y.name;
    });
  }

  // All buckets and kinds are counted, used or not: whether a package is alone must not depend on
  // what else happens to be small.
  void demote() {
    constexpr size_t kFixedLayers = 6;
    size_t layers = kFixedLayers + kTailBuckets;
    for (const size_t i : solos_) layers += max_layers_of(packages_[i]);
    while (layers > kMaxLayers && !solos_.empty()) {
      layers -= max_layers_of(packages_[solos_.back()]);
      tail_.push_back(solos_.back());
      solos_.pop_back();
    }
  }

  void add_fixed(LayerKind kind) {
    LayerSlot slot{.name = fixed_name(kind), .packages = {}};
    for (size_t i = 0; i < packages_.size(); ++i)
      if (packages_[i].kind == kind) slot.packages.push_back(i);
    add(std::move(slot));
  }

  void add_solo(size_t i) {
    add({.name = "python/" + packages_[i].name,
         .packages = {i},
         .is_split = packages_[i].installed_bytes > kSplitAboveBytes});
  }

  void add_tail() {
    std::array<LayerSlot, kTailBuckets> buckets;
    for (const size_t i : tail_) buckets[bucket_of(packages_[i].name)].packages.push_back(i);
    for (size_t b = 0; b < kTailBuckets; ++b) {
      buckets[b].name = fmt::format("python/tail-{:02}", b);
      add(std::move(buckets[b]));
    }
  }

  void add(LayerSlot slot) {
    if (slot.packages.empty()) return;
    std::sort(slot.packages.begin(), slot.packages.end(),
              [&](size_t a, size_t b) { return packages_[a].name < packages_[b].name; });
    slots_.push_back(std::move(slot));
  }

  std::span<const LayerPackage> packages_;
  std::vector<size_t> solos_;  // Largest first.
  std::vector<size_t> tail_;
  std::vector<LayerSlot> slots_;
};

}  // namespace

std::vector<LayerSlot> plan_layers(std::span<const LayerPackage> packages) {
  return Planner(packages).run();
}

}  // namespace kist::store

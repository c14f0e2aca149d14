// Which parts of an environment share a layer: what `kist build` makes of them and `kist verify`
// compares. docs/formats/layer.md.
#pragma once

#include <string>
#include <vector>

#include "environment/assemble.h"
#include "store/layer_plan.h"

namespace kist::engine {

/// Names of parts beside those of packages ("numpy 2.1.0").
inline constexpr std::string_view kBasePart = "base";
inline constexpr std::string_view kDebianPart = "debian";
inline constexpr std::string_view kInterpreterPart = "interpreter";
inline constexpr std::string_view kBytecodePart = "byte-code";

/// Whether a part of this name is a Python package, whose byte-code shares its layer.
bool is_package_part(const std::string& name);

struct LayerTree {
  std::string name;  // "base", "python/numpy", "python/torch-2", "python/tail-07"
  store::Tree tree;
  bool may_hide = false;  // Hides what lies below it, of an image that is the base.
};

/// Bottom first. A function of the parts and of the lock. Errors: those of store::merge().
Result<std::vector<LayerTree>> layers_of(const std::vector<environment::NamedTree>& parts,
                                         const python::Lock& lock);

}  // namespace kist::engine

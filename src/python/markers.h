// Environment markers: `python_version < "3.11" and extra == "socks"` (PEP 508, with the `in
// extras` and `in dependency_groups` of PEP 751). Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "python/tags.h"

namespace kist::python {

/// What markers are evaluated against. Names in the sets are normalized.
struct MarkerEnvironment {
  Target target;
  std::set<std::string> extras;             // `extra == "x"` and `"x" in extras`.
  std::set<std::string> dependency_groups;  // `"x" in dependency_groups`.
  /// The value of a variable such as "sys_platform"; empty when there is none of that name.
  std::optional<std::string> variable(std::string_view name) const;
};

/// A marker, parsed. Cheap to evaluate many times.
class Marker {
 public:
  /// Always true.
  Marker() = default;
  /// An empty text is always true. Errors: invalid (says what is wrong and at which offset).
  static Result<Marker> parse(std::string_view text);
  bool evaluate(const MarkerEnvironment& environment) const;
  bool is_always() const { return nodes_.empty(); }
  /// Whether a variable stands in it, such as "extra".
  bool mentions(std::string_view variable) const;

 private:
  friend class MarkerParser;
  enum class Kind { any, all, comparison };
  struct Operand {
    bool is_variable = false;
    std::string text;
  };
  struct Node {
    Kind kind = Kind::comparison;
    std::vector<size_t> children;  // Of any and all: indexes into nodes_.
    Operand left, right;
    std::string op;
  };
  bool evaluate(const Node& node, const MarkerEnvironment& environment) const;

  std::vector<Node> nodes_;  // The last is the root; children come before parents.
};

}  // namespace kist::python

#include "debian/shell_conditions.h"

#include <algorithm>

#include "base/text.h"
#include "debian/control.h"

namespace kist::debian {
namespace {

using Value = std::optional<std::string>;

bool is_unknown(const Value& value) {
  return !value || value->find(kUnknownMark) != std::string::npos;
}

Verdict test_unary(const std::string& op, const std::string& value, const ShellWorld& world) {
  if (op == "-n") return verdict(!value.empty());
  if (op == "-z") return verdict(value.empty());
  if (value.empty()) return Verdict::no;
  if (!value.starts_with('/') || value.find('*') != std::string::npos) return Verdict::unknown;
  // What only exists while a system runs is not there.
  if (value.starts_with("/run/") || value.starts_with("/proc/") || value.starts_with("/sys/"))
    return Verdict::no;
  if (op == "-d") return verdict(world.is_folder(value));
  if (op == "-e" || op == "-x" || op == "-r") return verdict(world.exists(value));
  if (op == "-f") return verdict(world.exists(value) && !world.is_folder(value));
  return Verdict::unknown;
}

Verdict test_binary(const std::string& left, const std::string& op, const std::string& right) {
  if (op == "=" || op == "==") return verdict(left == right);
  if (op == "!=") return verdict(left != right);
  const auto a = parse_number(left);
  const auto b = parse_number(right);
  if (!a || !b) return Verdict::unknown;
  if (op == "-eq") return verdict(*a == *b);
  if (op == "-ne") return verdict(*a != *b);
  if (op == "-gt") return verdict(*a > *b);
  if (op == "-ge") return verdict(*a >= *b);
  if (op == "-lt") return verdict(*a < *b);
  if (op == "-le") return verdict(*a <= *b);
  return Verdict::unknown;
}

Verdict test_one(const std::vector<Value>& arguments, const ShellWorld& world) {
  if (!arguments.empty() && arguments[0] == Value("!"))
    return invert(test_one({arguments.begin() + 1, arguments.end()}, world));
  if (std::any_of(arguments.begin(), arguments.end(), is_unknown)) return Verdict::unknown;
  if (arguments.empty()) return Verdict::no;
  if (arguments.size() == 1) return verdict(!arguments[0]->empty() && *arguments[0] != "-n");
  if (arguments.size() == 2) return test_unary(*arguments[0], *arguments[1], world);
  if (arguments.size() != 3) return Verdict::unknown;
  return test_binary(*arguments[0], *arguments[1], *arguments[2]);
}

}  // namespace

Verdict test_condition(const std::vector<Value>& arguments, const ShellWorld& world) {
  // -o binds weaker than -a, so it splits first.
  for (const char* op : {"-o", "-a"}) {
    for (size_t i = 1; i + 1 < arguments.size(); ++i) {
      if (arguments[i] != Value(op)) continue;
      const auto middle = arguments.begin() + static_cast<ptrdiff_t>(i);
      const Verdict left = test_condition({arguments.begin(), middle}, world);
      const Verdict right = test_condition({middle + 1, arguments.end()}, world);
      const Verdict decides = op[1] == 'o' ? Verdict::yes : Verdict::no;
      if (left == decides || right == decides) return decides;
      if (left == Verdict::unknown || right == Verdict::unknown) return Verdict::unknown;
      return invert(decides);
    }
  }
  return test_one(arguments, world);
}

std::optional<Verdict> compare_versions_condition(const std::vector<Value>& words) {
  if (words.size() < 2 || !words[1] || *words[1] != "--compare-versions") return std::nullopt;
  // An unquoted empty version vanishes from the words.
  std::vector<Value> rest(words.begin() + 2, words.end());
  if (rest.size() == 2) rest.insert(rest.begin(), std::string());
  if (rest.size() != 3 || !rest[0] || !rest[1] || !rest[2]) return Verdict::unknown;
  const std::string& op = *rest[1];
  const bool nl = op.ends_with("-nl");
  int order = compare_versions(*rest[0], *rest[2]);
  if (rest[0]->empty() != rest[2]->empty()) order = (rest[0]->empty() != nl) ? -1 : 1;
  const std::string base = op.substr(0, op.find('-'));
  if (base == "lt" || base == "<<") return verdict(order < 0);
  if (base == "le" || base == "<=" || base == "<") return verdict(order <= 0);
  if (base == "eq" || base == "=") return verdict(order == 0);
  if (base == "ne") return verdict(order != 0);
  if (base == "ge" || base == ">=" || base == ">") return verdict(order >= 0);
  if (base == "gt" || base == ">>") return verdict(order > 0);
  return Verdict::unknown;
}

}  // namespace kist::debian

// kist tree
#include <set>

#include "base/text.h"
#include "verbs/json.h"
#include "verbs/listing.h"

namespace kist::verbs {
namespace {

using engine::Package;
using engine::Packages;

constexpr size_t kMaxDepth = 200;

class TreePrinter {
 public:
  TreePrinter(const Packages& packages, cli::Terminal& terminal)
      : packages_(packages), terminal_(terminal) {}

  void print(size_t package) { print_one(package, "", "", ""); }
  bool has_repeated() const { return repeated_; }

 private:
  // `lead` stands before this line, `indent` before those below it.
  void print_one(size_t package, const std::string& lead, const std::string& indent,
                 const std::string& constraint) {
    const Package& shown = packages_.packages[package];
    const bool again = !shown.needs.empty() && !shown_.insert(package).second;
    repeated_ = repeated_ || again;
    terminal_.line(fmt::format("{}{}{}{}", lead, title_of(shown),
                               constraint.empty() ? "" : fmt::format("  [{}]", printable(constraint)),
                               again ? " (*)" : ""));
    // Three bytes for each level's "│" and its spaces.
    if (again || indent.size() > kMaxDepth * 6) return;
    for (size_t i = 0; i < shown.needs.size(); ++i) {
      const bool last = i + 1 == shown.needs.size();
      print_one(shown.needs[i].package, indent + (last ? "└── " : "├── "),
                indent + (last ? "    " : "│   "), shown.needs[i].constraint);
    }
  }

  const Packages& packages_;
  cli::Terminal& terminal_;
  std::set<size_t> shown_;
  bool repeated_ = false;
};

void print_json(const Packages& packages, cli::Terminal& terminal) {
  boost::json::array list;
  for (const Package& package : packages.packages) {
    boost::json::array needs;
    for (const engine::Need& need : package.needs)
      needs.push_back(boost::json::object{{"name", json_text(packages.packages[need.package].name)},
                                          {"constraint", json_text(need.constraint)}});
    list.push_back(boost::json::object{{"name", json_text(package.name)},
                                       {"version", json_text(package.version)},
                                       {"kind", kind_text(package.kind)},
                                       {"asked_by", json_text(package.asked_by)},
                                       {"needs", std::move(needs)}});
  }
  terminal.line(json_line(list));
}

}  // namespace

Result<int> tree_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal) {
  const Packages packages = TRY(list_packages(parsed, context));
  if (parsed.has("--json")) {
    print_json(packages, terminal);
    return 0;
  }
  TreePrinter printer(packages, terminal);
  for (size_t i = 0; i < packages.packages.size(); ++i) {
    const Package& package = packages.packages[i];
    if (package.kind != Package::Kind::debian && !package.asked_by.empty()) printer.print(i);
  }
  if (printer.has_repeated()) terminal.line("(*) shown above");
  return 0;
}

}  // namespace kist::verbs

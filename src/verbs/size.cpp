// kist size
#include "base/text.h"
#include "verbs/json.h"
#include "verbs/listing.h"

namespace kist::verbs {
namespace {

// What no package has: byte-code, and what stands in for the packages' scripts.
uint64_t rest_of(const engine::Packages& packages, const std::vector<engine::PackageSize>& sizes) {
  uint64_t counted = 0;
  for (const engine::PackageSize& size : sizes) counted += size.bytes;
  const uint64_t total = packages.tree.size_bytes();
  return total > counted ? total - counted : 0;
}

void print_json(const engine::Packages& packages, const std::vector<engine::PackageSize>& sizes,
                cli::Terminal& terminal) {
  boost::json::array list;
  for (const engine::PackageSize& size : sizes) {
    const engine::Package& package = packages.packages[size.package];
    list.push_back(boost::json::object{{"name", json_text(package.name)},
                                       {"version", json_text(package.version)},
                                       {"kind", kind_text(package.kind)},
                                       {"bytes", size.bytes},
                                       {"unique_bytes", size.unique_bytes},
                                       {"shared_bytes", size.bytes - size.unique_bytes}});
  }
  terminal.line(json_line(boost::json::object{{"packages", std::move(list)},
                                              {"generated_bytes", rest_of(packages, sizes)},
                                              {"total_bytes", packages.tree.size_bytes()}}));
}

}  // namespace

Result<int> size_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal) {
  const engine::Packages packages = TRY(list_packages(parsed, context));
  const auto sizes = engine::sizes_of(packages);
  if (parsed.has("--json")) {
    print_json(packages, sizes, terminal);
    return 0;
  }
  const auto line = [&](uint64_t bytes, const std::string& unique, const std::string& shared,
                        std::string_view what) {
    terminal.line(fmt::format("{:>10}{:>10}{:>10}  {}", human_bytes(bytes), unique, shared, what));
  };
  terminal.line(fmt::format("{:>10}{:>10}{:>10}  {}", "size", "unique", "shared", "package"));
  for (const engine::PackageSize& size : sizes) {
    const engine::Package& package = packages.packages[size.package];
    const char* kind = package.kind == engine::Package::Kind::debian        ? " (Debian)"
                       : package.kind == engine::Package::Kind::interpreter ? " (interpreter)"
                       : package.kind == engine::Package::Kind::image       ? " (image)"
                                                                            : "";
    line(size.bytes, human_bytes(size.unique_bytes), human_bytes(size.bytes - size.unique_bytes),
         title_of(package) + kind);
  }
  line(rest_of(packages, sizes), "", "", "(byte-code and generated files)");
  line(packages.tree.size_bytes(), "", "",
       fmt::format("total, {} packages", packages.packages.size()));
  return 0;
}

}  // namespace kist::verbs

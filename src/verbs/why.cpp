// kist why
#include "base/text.h"
#include "python/pylock.h"
#include "verbs/json.h"
#include "verbs/listing.h"

namespace kist::verbs {
namespace {

using engine::Package;
using engine::Packages;

constexpr size_t kMaxChains = 20;

// "scikit-learn 1.5.2 → joblib 1.4.2 [>=1.2.0]"
std::string chain_text(const Packages& packages, const std::vector<size_t>& chain) {
  const Package& first = packages.packages[chain.front()];
  std::string text = fmt::format("{} → {}", printable(first.asked_by), title_of(first));
  for (size_t i = 1; i < chain.size(); ++i) {
    text += " → " + title_of(packages.packages[chain[i]]);
    for (const engine::Need& need : packages.packages[chain[i - 1]].needs)
      if (need.package == chain[i] && !need.constraint.empty())
        text += fmt::format(" [{}]", printable(need.constraint));
  }
  return text;
}

boost::json::value chain_json(const Packages& packages, const std::vector<size_t>& chain) {
  boost::json::array names;
  for (const size_t package : chain) names.push_back(json_text(packages.packages[package].name));
  return boost::json::object{{"asked_by", json_text(packages.packages[chain.front()].asked_by)},
                             {"chain", std::move(names)}};
}

Error unknown(const Packages& packages, const std::string& name) {
  std::vector<std::string> names;
  for (const Package& package : packages.packages) names.push_back(package.name);
  Error error(Code::not_found, "the environment has no package '{}'", printable(name));
  if (const auto near = nearest(name, names))
    return std::move(error).hint(fmt::format("did you mean `kist why {}`?", shell_quote(*near)));
  return std::move(error).hint("`kist tree` shows what there is");
}

}  // namespace

Result<int> why_verb(const cli::Parsed& parsed, const environment::Context& context,
                     cli::Terminal& terminal) {
  const Packages packages = TRY(list_packages(parsed, context));
  const std::string& written = parsed.positionals().front();
  boost::json::array found;
  bool any = false;
  for (const auto kind :
       {Package::Kind::python, Package::Kind::debian, Package::Kind::interpreter, Package::Kind::image}) {
    const auto package = packages.find(
        kind, kind == Package::Kind::python ? python::normalize_name(written) : written);
    if (!package) continue;
    any = true;
    const auto chains = engine::chains_to(packages, *package, kMaxChains + 1);
    for (size_t i = 0; i < chains.size() && i < kMaxChains; ++i) {
      if (parsed.has("--json"))
        found.push_back(chain_json(packages, chains[i]));
      else
        terminal.line(chain_text(packages, chains[i]));
    }
    if (parsed.has("--json")) continue;
    if (chains.empty())
      terminal.line(fmt::format("{}: nothing here needs it", title_of(packages.packages[*package])));
    if (chains.size() > kMaxChains) terminal.line(fmt::format("… and more than {} others", kMaxChains));
  }
  if (!any) return unknown(packages, written);
  if (parsed.has("--json")) terminal.line(json_line(found));
  return 0;
}

}  // namespace kist::verbs

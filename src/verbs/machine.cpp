#include "verbs/machine.h"

#include <algorithm>

#include "base/text.h"
#include "engine/doctor.h"
#include "verbs/json.h"
#include "verbs/machine_verbs.h"

namespace kist::verbs {
namespace {

using engine::Check;

const char* state_text(Check::State state) {
  switch (state) {
    case Check::State::good: return "ok";
    case Check::State::warning: return "note";
    case Check::State::bad: return "FAIL";
  }
  return "";
}

int doctor(const cli::Parsed& parsed, const environment::Context& context,
           const http::Config& network, cli::Terminal& terminal) {
  const auto checks = engine::examine(context, network);
  const bool bad = std::any_of(checks.begin(), checks.end(),
                               [](const Check& c) { return c.state == Check::State::bad; });
  if (parsed.has("--json")) {
    boost::json::array list;
    for (const Check& check : checks)
      list.push_back(boost::json::object{{"name", json_text(check.name)},
                                         {"state", state_text(check.state)},
                                         {"detail", json_text(check.detail)},
                                         {"fix", json_text(check.fix)}});
    terminal.line(json_line(list));
    return bad ? 1 : 0;
  }
  for (const Check& check : checks) {
    terminal.line(fmt::format("{:5}{:22}{}", state_text(check.state), check.name, check.detail));
    if (!check.fix.empty()) terminal.line(fmt::format("     {:22}→ {}", "", check.fix));
  }
  return bad ? 1 : 0;
}

}  // namespace

bool is_machine_verb(std::string_view name) {
  return name == "doctor" || name == "du" || name == "gc" || name == "fsck";
}

Result<int> machine_verb(std::string_view name, const cli::Parsed& parsed,
                         const environment::Context& context, const http::Config& network,
                         cli::Terminal& terminal) {
  if (name == "doctor") return doctor(parsed, context, network, terminal);
  if (name == "du") return du_verb(parsed, context, terminal);
  if (name == "gc") return gc_verb(parsed, context, terminal);
  if (name == "fsck") return fsck_verb(parsed, context, terminal);
  return Error(Code::internal, "kist {} has no implementation", name);
}

}  // namespace kist::verbs

#include "verbs/project.h"

#include "base/text.h"
#include "verbs/project_verbs.h"

namespace kist::verbs {
namespace {

using Verb = Result<int> (*)(const cli::Parsed&, const environment::Context&, cli::Terminal&);

constexpr struct {
  std::string_view name;
  Verb verb;
} kVerbs[] = {
    {"lock", lock_verb},     {"init", init_verb}, {"add", add_verb},
    {"remove", remove_verb}, {"status", status_verb}, {"size", size_verb},
    {"tree", tree_verb},     {"why", why_verb},   {"verify", verify_verb},
    {"build", build_verb},
};

}  // namespace

Result<launch::RunRequest> request_of(const cli::Parsed& parsed) {
  launch::RunRequest request;
  request.environment = parsed.value("--env", "default");
  if (request.environment.find('=') != std::string::npos)
    return Error(Code::invalid, "--env: '{}' is not the name of an environment",
                 printable(request.environment));
  request.from = parsed.value("--from");
  request.project = parsed.value("--project");
  request.offline = parsed.has("--offline");
  return request;
}

Result<int> project_verb(std::string_view name, const cli::Parsed& parsed,
                         const environment::Context& context, cli::Terminal& terminal) {
  for (const auto& entry : kVerbs)
    if (entry.name == name) return entry.verb(parsed, context, terminal);
  return Error(Code::internal, "kist {} has no implementation", name);
}

}  // namespace kist::verbs

#include "environment/build_vcs.h"

#include "base/text.h"

namespace kist::environment {
namespace {

bool is_repository(const std::string& path) {
  return os::exists(os::join(path, ".git")) ||
         (os::exists(os::join(path, "HEAD")) && os::is_folder(os::join(path, "objects")));
}

}  // namespace

std::vector<std::string> local_repositories(std::string_view requirements) {
  constexpr std::string_view kScheme = "git+file://";
  std::vector<std::string> paths;
  for (size_t at = requirements.find(kScheme); at != std::string_view::npos;
       at = requirements.find(kScheme, at + 1)) {
    std::string_view rest = requirements.substr(at + kScheme.size());
    rest = rest.substr(0, rest.find_first_of("@#;,\"' \t\r\n"));
    const auto path = percent_decode(rest);
    if (path && path->starts_with("/") && is_repository(*path)) paths.push_back(*path);
  }
  return paths;
}

bool lacks_git(std::string_view uv_output) {
  return to_lower(uv_output).find("git executable not found") != std::string::npos;
}

void add_git_settings(Step& step) {
  for (const char* variable : {"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory",
                               "GIT_CONFIG_VALUE_0=*", "GIT_TERMINAL_PROMPT=0"})
    step.env.push_back(variable);
}

}  // namespace kist::environment

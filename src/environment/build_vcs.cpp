#include "environment/build_vcs.h"

#include <algorithm>

#include "base/text.h"
#include "http/client.h"

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

std::string redact_all(std::string_view git_output) {
  std::string out;
  while (!git_output.empty()) {
    const size_t scheme = git_output.find("://");
    if (scheme == std::string_view::npos) return out.append(git_output);
    const size_t start = scheme + 3;
    const size_t end = std::min(git_output.find_first_of("/ \t\n'\"", start), git_output.size());
    const size_t at = git_output.substr(0, end).rfind('@');
    out.append(git_output.substr(0, start));
    git_output.remove_prefix(at == std::string_view::npos || at < start ? start : at + 1);
  }
  return out;
}

bool lacks_git(std::string_view uv_output) {
  return to_lower(uv_output).find("git executable not found") != std::string::npos;
}

void add_git_settings(Step& step) { add_git_settings(step, "", http::Secret()); }

void add_git_settings(Step& step, std::string_view url, const http::Secret& user) {
  // In variables and not in arguments: those are readable by everybody.
  std::vector<std::pair<std::string, std::string>> settings = {{"safe.directory", "*"}};
  const std::string origin = http::origin_of(url);
  if (!user.empty() && !origin.empty()) {
    const std::string& text = user.reveal();
    const size_t colon = std::min(text.find(':'), text.size());
    const std::string address = http::with_credentials(
        origin + "/", text.substr(0, colon), text.substr(std::min(colon + 1, text.size())));
    settings.emplace_back(fmt::format("url.{}.insteadOf", address), origin + "/");
  }
  step.env.push_back(fmt::format("GIT_CONFIG_COUNT={}", settings.size()));
  for (size_t i = 0; i < settings.size(); ++i) {
    step.env.push_back(fmt::format("GIT_CONFIG_KEY_{}={}", i, settings[i].first));
    step.env.push_back(fmt::format("GIT_CONFIG_VALUE_{}={}", i, settings[i].second));
  }
  step.env.push_back("GIT_TERMINAL_PROMPT=0");
}

}  // namespace kist::environment

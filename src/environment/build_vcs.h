// Requirements that are commits of git repositories, while they are resolved.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "environment/step.h"

namespace kist::environment {

/// Paths of the host that a text of requirements names as repositories ("git+file:///srv/lib@v1").
/// Only what looks like a repository counts, and nothing else of the machine is to be shown.
std::vector<std::string> local_repositories(std::string_view requirements);

/// Whether uv failed for want of git.
bool lacks_git(std::string_view uv_output);

/// Settings for git in a step: repositories shown from the host may seem to be somebody else's, and
/// there is nobody to ask for a password.
void add_git_settings(Step& step);

}  // namespace kist::environment

// Requirements that are commits of git repositories, while they are resolved.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "environment/step.h"
#include "http/secret.h"

namespace kist::environment {

/// Paths of the host that a text of requirements names as repositories ("git+file:///srv/lib@v1").
/// Only what looks like a repository counts, and nothing else of the machine is to be shown.
std::vector<std::string> local_repositories(std::string_view requirements);

/// Whether uv failed for want of git.
bool lacks_git(std::string_view uv_output);

/// Settings for git in a step: repositories shown from the host may seem to be somebody else's, and
/// there is nobody to ask for a password.
void add_git_settings(Step& step);
/// The same, and the user of a commit's address, which its lock does not name.
void add_git_settings(Step& step, std::string_view url, const http::Secret& user);

/// What git says, without the users of its addresses.
std::string redact_all(std::string_view git_output);

}  // namespace kist::environment

// Names of repositories and tags by the distribution-spec's grammar, and patterns over them. Pure.
// What passes here is safe as part of a path: no "..", no empty part, nothing that begins with '_'.
#pragma once

#include <string_view>

namespace kist::registry_server {

/// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/…)*, at most 255 bytes.
bool is_repository_name(std::string_view name);
/// [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
bool is_tag(std::string_view tag);

/// Whether `name` fits: '*' stands for any part of one component, "**" for any number of components.
bool fits_pattern(std::string_view name, std::string_view pattern);

}  // namespace kist::registry_server

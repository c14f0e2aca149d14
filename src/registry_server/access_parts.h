// What the two files of access.h share. Module-private.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "registry_server/access.h"

namespace kist::registry_server {

std::string hmac_sha256(std::string_view key, std::string_view text);
bool has_right(const std::vector<Right>& rights, Right right);

}  // namespace kist::registry_server

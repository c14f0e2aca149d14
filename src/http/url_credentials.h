// Credentials that people write into addresses, in files that kist reads for other reasons.
#pragma once

#include <string_view>
#include <vector>

#include "http/client.h"

namespace kist::http {

/// Pure. All of a text's addresses that name a user ("https://ada:secret@host/…", "git+https://…"),
/// by origin; of two for one origin the first. Variables in it are replaced already. For
/// add_credentials(): a lock names files without them.
std::vector<OriginCredentials> credentials_in(std::string_view text);

}  // namespace kist::http

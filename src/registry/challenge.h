// WWW-Authenticate: what a registry wants to see before it answers (RFC 9110, 11.6.1; the
// distribution project's token specification). Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/secret.h"

namespace kist::registry {

struct Challenge {
  std::string scheme;                             // "bearer", "basic": lower case.
  std::map<std::string, std::string> parameters;  // Names in lower case.
};

/// Of one header field, which may hold several. What is malformed ends the list.
std::vector<Challenge> parse_challenges(std::string_view header);

/// Whether a password of `registry` ("host[:port]") may be shown to the token server at `realm`: to the
/// registry itself, or by TLS to a host of the same domain. A registry that names another one gets
/// an anonymous request at most.
bool may_have_password(std::string_view registry, bool registry_is_plain, std::string_view realm);

/// The token in the answer of a token server. Errors: corrupt.
Result<http::Secret> parse_token(std::string_view json);

/// "repository:team/tool:pull,push"
std::string scope_of(std::string_view repository, bool push);

/// For a query: everything but RFC 3986's unreserved characters is escaped.
std::string escape(std::string_view text);

}  // namespace kist::registry

// JSON Web Tokens (RFC 7519) in their compact form, taken apart. Nothing in here trusts them. Module-private.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::registry_server {

constexpr size_t kMaxToken = 16 << 10;

/// "this token is not valid: …"
Error bad_token(std::string_view why);

struct Jwt {
  boost::json::object header;
  boost::json::object claims;
  std::string_view signed_part;  // Of the text that was parsed.
  std::string signature;
};
/// Errors: denied (not three parts, not base64, not JSON, too long).
Result<Jwt> parse_jwt(std::string_view token);

/// Of a member that is a text; empty when it is not there or something else.
std::string text_of(const boost::json::object& object, std::string_view key);
/// Of a member that is a time (RFC 7519: a number). None: it is not there or something else.
std::optional<int64_t> time_of(const boost::json::object& object, std::string_view key);

}  // namespace kist::registry_server

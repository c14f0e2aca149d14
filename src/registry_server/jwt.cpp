#include "registry_server/jwt.h"

#include <boost/json.hpp>

#include "base/base64.h"
#include "base/text.h"

namespace kist::registry_server {
namespace {

namespace json = boost::json;

constexpr double kEndOfTime_s = 1e15;

Result<json::object> parse_part(std::string_view part) {
  const auto text = decode_base64_url(part);
  if (!text) return bad_token("not base64");
  boost::system::error_code error;
  auto value = json::parse(*text, error);
  if (error || !value.is_object()) return bad_token("not JSON");
  return std::move(value.get_object());
}

}  // namespace

Error bad_token(std::string_view why) { return {Code::denied, "this token is not valid: {}", why}; }

Result<Jwt> parse_jwt(std::string_view token) {
  if (token.size() > kMaxToken) return bad_token(fmt::format("it has {} bytes, more than {}", token.size(), kMaxToken));
  const auto parts = split(token, '.');
  if (parts.size() != 3) return bad_token("not three parts");
  auto signature = decode_base64_url(parts[2]);
  if (!signature) return bad_token("not base64");
  Jwt jwt;
  jwt.header = TRY(parse_part(parts[0]));
  jwt.claims = TRY(parse_part(parts[1]));
  jwt.signed_part = token.substr(0, parts[0].size() + 1 + parts[1].size());
  jwt.signature = std::move(*signature);
  return jwt;
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

std::optional<int64_t> time_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr) return std::nullopt;
  if (const auto* whole = value->if_int64()) return *whole;
  const auto* number = value->if_double();
  if (number == nullptr || !(*number > -kEndOfTime_s && *number < kEndOfTime_s)) return std::nullopt;
  return static_cast<int64_t>(*number);
}

}  // namespace kist::registry_server

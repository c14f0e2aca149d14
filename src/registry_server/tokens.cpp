// Tokens: JSON Web Tokens (RFC 7519) with HMAC-SHA256, as the distribution project's token
// specification fills them.
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "http_server/request_text.h"
#include "registry_server/access_parts.h"
#include "registry_server/names.h"

namespace kist::registry_server {
namespace {

namespace json = boost::json;

constexpr size_t kMaxToken = 16 << 10;
constexpr size_t kMaxScopes = 100;
constexpr int64_t kClockSkew_s = 30;
constexpr std::string_view kHeader = R"({"typ":"JWT","alg":"HS256"})";

Error bad(std::string_view why) { return {Code::denied, "this token is not valid: {}", why}; }

Result<json::object> parse_part(std::string_view part) {
  const auto text = decode_base64_url(part);
  if (!text) return bad("not base64");
  boost::system::error_code error;
  auto value = json::parse(*text, error);
  if (error || !value.is_object()) return bad("not JSON");
  return std::move(value.get_object());
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

int64_t number_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  const auto* number = value == nullptr ? nullptr : value->if_int64();
  return number == nullptr ? -1 : *number;
}

Result<Grant> grant_of(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr || text_of(*object, "type") != "repository") return bad("an access of another kind");
  Grant grant{text_of(*object, "name"), {}};
  const auto* actions = object->if_contains("actions");
  if (!is_repository_name(grant.repository) || actions == nullptr || !actions->is_array()) return bad("an access without a name");
  for (const json::value& action : actions->get_array())
    for (const Right right : {Right::read, Right::write, Right::remove})
      if (action.is_string() && std::string_view(action.get_string().data(), action.get_string().size()) == action_of(right))
        grant.rights.push_back(right);
  return grant;
}

}  // namespace

std::string Access::make_token(const Identity& identity, const std::vector<std::string>& scopes, int64_t now_s) const {
  json::array access;
  for (size_t i = 0; i < scopes.size() && i < kMaxScopes; ++i) {
    const auto wanted = parse_scope(scopes[i]);
    if (!wanted) continue;
    json::array actions;
    for (const Right right : wanted->rights)
      if (may(identity, right, wanted->repository)) actions.emplace_back(json::string(action_of(right)));
    access.push_back(json::object{{"type", "repository"}, {"name", wanted->repository}, {"actions", std::move(actions)}});
  }
  unsigned char raw[16] = {};
  (void)::RAND_bytes(raw, sizeof raw);
  const json::object claims{{"iss", options_.service},
                            {"sub", identity.user},
                            {"aud", options_.service},
                            {"exp", now_s + options_.token_lifetime.count()},
                            {"nbf", now_s - kClockSkew_s},
                            {"iat", now_s},
                            {"jti", encode_base64_url({reinterpret_cast<const char*>(raw), sizeof raw})},
                            {"access", std::move(access)}};
  std::string token = encode_base64_url(kHeader) + "." + encode_base64_url(json::serialize(claims));
  const std::string signature = hmac_sha256(options_.token_key.reveal(), token);
  return token + "." + encode_base64_url(signature);
}

Result<Identity> Access::parse_token(std::string_view token, int64_t now_s) const {
  const auto parts = split(token, '.');
  if (token.size() > kMaxToken || parts.size() != 3) return bad("not three parts");
  // The signature first: nothing of a stranger's is parsed.
  const auto given = decode_base64_url(parts[2]);
  const std::string wanted = hmac_sha256(options_.token_key.reveal(), token.substr(0, parts[0].size() + 1 + parts[1].size()));
  if (!given || given->size() != wanted.size() || ::CRYPTO_memcmp(given->data(), wanted.data(), wanted.size()) != 0)
    return bad("signature");
  const json::object header = TRY(parse_part(parts[0]));
  if (text_of(header, "alg") != "HS256") return bad("algorithm");
  const json::object claims = TRY(parse_part(parts[1]));
  if (text_of(claims, "iss") != options_.service || text_of(claims, "aud") != options_.service) return bad("of another service");
  if (number_of(claims, "exp") <= now_s) return bad("it is too old");
  if (number_of(claims, "nbf") > now_s + kClockSkew_s) return bad("it is not valid yet");
  Identity identity{.user = text_of(claims, "sub"), .grants = std::vector<Grant>()};
  const auto* access = claims.if_contains("access");
  if (access != nullptr && access->is_array())
    for (const json::value& one : access->get_array()) {
      auto grant = TRY(grant_of(one));
      identity.grants->push_back(std::move(grant));
    }
  return identity;
}

}  // namespace kist::registry_server

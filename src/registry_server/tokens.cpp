// Tokens: JSON Web Tokens (RFC 7519) as the distribution project's token specification fills them. Our own
// are signed by HMAC-SHA256, those of another server by its RSA or elliptic key.
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/base64.h"
#include "base/text.h"
#include "registry_server/access_parts.h"
#include "registry_server/jwt.h"
#include "registry_server/names.h"
#include "registry_server/token_keys.h"

namespace kist::registry_server {
namespace {

namespace json = boost::json;

constexpr size_t kMaxScopes = 100;
constexpr int64_t kClockSkew_s = 30;
constexpr std::string_view kHeader = R"({"typ":"JWT","alg":"HS256"})";

// None: of another kind than a repository, or without a name.
std::optional<Grant> grant_of(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr || text_of(*object, "type") != "repository") return std::nullopt;
  Grant grant{text_of(*object, "name"), {}};
  const auto* actions = object->if_contains("actions");
  if (!is_repository_name(grant.repository) || actions == nullptr || !actions->is_array()) return std::nullopt;
  for (const json::value& action : actions->get_array()) {
    if (!action.is_string()) continue;
    const std::string_view word(action.get_string().data(), action.get_string().size());
    for (const Right right : {Right::read, Right::write, Right::remove})
      if ((word == action_of(right) || word == "*") && !has_right(grant.rights, right)) grant.rights.push_back(right);
  }
  return grant;
}

// Docker's "registry:catalog:*".
bool is_catalog(const json::value& value) {
  const auto* object = value.if_object();
  const auto* actions = object == nullptr ? nullptr : object->if_contains("actions");
  if (actions == nullptr || !actions->is_array() || text_of(*object, "type") != "registry" || text_of(*object, "name") != "catalog") return false;
  const json::array& list = actions->get_array();
  return std::any_of(list.begin(), list.end(), [](const json::value& one) { return one.is_string() && one.get_string() == "*"; });
}

// A text, or a list of texts with it.
bool has_audience(const json::object& claims, std::string_view wanted) {
  const auto* audience = claims.if_contains("aud");
  if (audience == nullptr) return false;
  const auto is_it = [&](const json::value& one) {
    return one.is_string() && std::string_view(one.get_string().data(), one.get_string().size()) == wanted;
  };
  if (!audience->is_array()) return is_it(*audience);
  return std::any_of(audience->get_array().begin(), audience->get_array().end(), is_it);
}

Result<void> check_claims(const json::object& claims, std::string_view issuer, std::string_view audience, int64_t now_s) {
  if (const std::string from = text_of(claims, "iss"); from != issuer)
    return bad_token(fmt::format("it is of '{}', not of '{}'", printable(from.substr(0, 100)), issuer));
  if (!has_audience(claims, audience)) return bad_token(fmt::format("it is for others than '{}'", audience));
  const auto end = time_of(claims, "exp"), begin = time_of(claims, "nbf");
  if (!end) return bad_token("it does not say how long it is valid");
  if (*end <= now_s) return bad_token("it is too old");
  if (claims.contains("nbf") && !begin) return bad_token("it does not say since when it is valid");
  if (begin && *begin > now_s + kClockSkew_s) return bad_token("it is not valid yet");
  return {};
}

Identity identity_of(const json::object& claims) {
  Identity identity{.user = text_of(claims, "sub"), .grants = std::vector<Grant>()};
  const auto* access = claims.if_contains("access");
  if (access == nullptr || !access->is_array()) return identity;
  for (const json::value& one : access->get_array()) {
    if (auto grant = grant_of(one)) identity.grants->push_back(std::move(*grant));
    if (is_catalog(one)) identity.may_list = true;
  }
  return identity;
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
  if (token.size() > kMaxToken) return bad_token("it is too long");
  // The signature first: nothing of a stranger's is parsed.
  const size_t dot = token.rfind('.');
  if (dot == std::string_view::npos) return bad_token("not three parts");
  const auto given = decode_base64_url(token.substr(dot + 1));
  const std::string wanted = hmac_sha256(options_.token_key.reveal(), token.substr(0, dot));
  if (!given || given->size() != wanted.size() || ::CRYPTO_memcmp(given->data(), wanted.data(), wanted.size()) != 0)
    return bad_token("it was not signed here");
  const Jwt jwt = TRY(parse_jwt(token));
  if (text_of(jwt.header, "alg") != "HS256") return bad_token("algorithm");
  TRY(check_claims(jwt.claims, options_.service, options_.service, now_s));
  return identity_of(jwt.claims);
}

Result<Identity> Access::parse_foreign_token(std::string_view token, int64_t now_s) const {
  const Jwt jwt = TRY(parse_jwt(token));
  std::shared_ptr<const TokenKeys> keys;
  {
    const std::scoped_lock lock(mutex_);
    keys = token_keys_;
  }
  TRY(keys->check(jwt, now_s));
  const TokenServer& server = *options_.token_server;
  TRY(check_claims(jwt.claims, server.issuer, server.audience.empty() ? server.service : server.audience, now_s));
  Identity identity = identity_of(jwt.claims);
  identity.is_foreign = true;
  return identity;
}

}  // namespace kist::registry_server

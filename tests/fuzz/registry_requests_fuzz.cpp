// What strangers send to a registry: targets, names, ranges, logins, tokens, scopes, manifests, and its
// configuration and keys. What is accepted is safe as a path and means the same when it is written again.
#include "base/base64.h"
#include "fuzz.h"
#include "http_server/request_text.h"
#include "registry_server/access.h"
#include "registry_server/config.h"
#include "registry_server/manifest_facts.h"
#include "registry_server/names.h"
#include "registry_server/routes.h"
#include "registry_server/s3_storage.h"
#include "registry_server/token_keys.h"
#include "registry_server/upstream_registry.h"

namespace kist::fuzz {
namespace {

constexpr int64_t kNow = 1'800'000'000;

const registry_server::Access& access() {
  static const auto made = *registry_server::Access::make(
      {.htpasswd = {}, .rules = {}, .anonymous = {registry_server::Right::read}, .has_tokens = true, .token_key = http::Secret(std::string(32, 'k'))});
  return *made;
}

// The key of RFC 7517, A.1, and that of RFC 7638.
constexpr const char* kJwks =
    R"({"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",)"
    R"("use":"sig","kid":"1"},{"kty":"RSA","e":"AQAB","kid":"2011-04-29","n":)"
    R"("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W)"
    R"(-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyr)"
    R"(dkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}]})";

const registry_server::TokenKeys& foreign_keys() {
  static const auto made = [] {
    auto keys = std::make_unique<registry_server::TokenKeys>();
    if (!keys->add_jwks(kJwks, "keys")) fail("the keys are good");
    return keys;
  }();
  return *made;
}

std::string foreign_token(std::string_view header) {
  return encode_base64_url(header) + "." + encode_base64_url(R"({"iss":"i","aud":["s"],"exp":1800000060})") + "." +
         encode_base64_url(std::string(64, 'x'));
}

}  // namespace

std::vector<std::string> seeds() {
  const std::string digest = "sha256:" + std::string(64, 'a');
  return {"/v2/team/tool/blobs/uploads/?mount=" + digest + "&from=a%2Fb+c",
          "/v2/a/manifests/latest",
          "bytes=5-9",
          "bytes 5-9/100",
          "Basic YWRhOnNlY3JldA==",
          "W/\"" + digest + "\", *",
          access().make_token({"ada", {}}, {"repository:a/b:pull,push"}, kNow),
          foreign_token(R"({"alg":"ES256","kid":"1"})"),
          foreign_token(R"({"alg":"RS256","x5c":["MIIB"],"crit":["b64"]})"),
          kJwks,
          "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMKBCTNIcKUSDii11ySs3526iDZ8A\niTo7Tu6KPAqv7D7gS2XpJFbZiIs1ub19"
          "+9Ue6GnvHw/GW2ZZaVtszggXIw==\n-----END PUBLIC KEY-----\n",
          "repository:a/b:pull,push,*",
          "Bearer realm=\"https://h/token\",service=s, scope=\"repository:a:pull\"",
          "ada:$2y$10$" + std::string(53, 'a'),
          R"({"mediaType":"x/y","config":{"digest":")" + digest + R"("},"layers":[{"digest":")" + digest +
              R"(","urls":["u"]}],"manifests":[],"subject":{"digest":")" + digest + R"("},"annotations":{"a":"b"}})",
          "[server]\nlisten = [':5']\n[[access]]\nusers=['*']\nrepositories=['**']\nrights=['read']\n[limits]\nblob='1 GB'\n",
          "<A><Key>a&amp;b</Key><Key>c</Key></A>"};
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view text = fuzz::text_of(data, size);
  if (const auto target = http_server::parse_target(text)) {
    fuzz::expect(target->path.find('\0') == std::string::npos, "no NUL in a path");
    const auto route = registry_server::parse_route(target->path);
    if (route && registry_server::is_repository_name(route->repository)) {
      fuzz::expect(("/" + route->repository + "/").find("/../") == std::string::npos, "a name does not lead out");
      fuzz::expect(("/" + route->repository).find("/_") == std::string::npos, "a name does not meet our own folders");
    }
    if (route && registry_server::is_tag(route->last)) fuzz::expect(route->last.find('/') == std::string::npos, "a tag is one name");
  }
  for (const uint64_t length : {0u, 1u, 1000u}) {
    const auto range = http_server::parse_range(text, length);
    if (range.kind == http_server::ByteRange::Kind::part)
      fuzz::expect(range.size_bytes > 0 && range.offset < length && range.size_bytes <= length - range.offset, "a range lies inside");
  }
  if (const auto chunk = http_server::parse_content_range(text)) fuzz::expect(chunk->first <= chunk->last, "a chunk has an order");
  (void)http_server::parse_basic(text);
  (void)http_server::names_tag(text, "\"x\"");
  if (const auto bytes = kist::decode_base64_url(text)) fuzz::expect(kist::encode_base64_url(*bytes) == text, "base64 has one spelling");
  if (const auto digest = registry_server::ContentDigest::parse(text)) fuzz::expect(digest->string() == text, "a digest has one spelling");
  if (const auto who = fuzz::access().parse_token(text, fuzz::kNow)) fuzz::expect(who->grants.has_value(), "a token is bounded");
  if (const auto jwt = registry_server::parse_jwt(text)) fuzz::expect(!fuzz::foreign_keys().check(*jwt, fuzz::kNow), "nobody guesses a signature");
  registry_server::TokenKeys keys;
  (void)keys.add_jwks(std::string(text), "k");
  (void)keys.add_pem(std::string(text), "k");
  if (const auto grant = registry_server::parse_scope(text)) fuzz::expect(registry_server::is_repository_name(grant->repository), "a scope has a name");
  (void)registry_server::parse_htpasswd(text);
  (void)registry_server::challenge_fields(text);
  (void)registry_server::xml_texts(text, "Key");
  (void)registry_server::parse_config(text, "c");
  if (const auto facts = registry_server::parse_manifest_facts(text, ""))
    fuzz::expect(facts->blobs.size() <= 2 * registry_server::kMaxReferences + 1, "references are bounded");
  const size_t half = size / 2;
  (void)registry_server::fits_pattern(text.substr(0, half), text.substr(half));
  return 0;
}

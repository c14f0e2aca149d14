// Tokens of another server: signed here by OpenSSL, as that server would, and by those who would like to be it.
#include "registry_server/token_keys.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "base/base64.h"
#include "os/files.h"
#include "registry_server/access.h"

namespace kist::registry_server {
namespace {

constexpr int64_t kNow = 1'800'000'000;

struct KeyPair {
  EVP_PKEY* key;
  std::string pem;  // The public half.
};

KeyPair pair_of(EVP_PKEY* key) {
  BIO* out = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_PUBKEY(out, key);
  char* data = nullptr;
  const long size = ::BIO_get_mem_data(out, &data);
  KeyPair pair{key, std::string(data, static_cast<size_t>(size))};
  ::BIO_free(out);
  return pair;
}
// Made once: an RSA key takes a while.
const KeyPair& rsa() {
  static const KeyPair pair = pair_of(::EVP_RSA_gen(2048));
  return pair;
}
const KeyPair& ec() {
  static const KeyPair pair = pair_of(::EVP_EC_gen("P-256"));
  return pair;
}

std::string sign(EVP_PKEY* key, std::string_view text) {
  EVP_MD_CTX* context = ::EVP_MD_CTX_new();
  size_t size = 1024;
  std::string out(size, '\0');
  ::EVP_DigestSignInit(context, nullptr, ::EVP_sha256(), nullptr, key);
  ::EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  ::EVP_MD_CTX_free(context);
  out.resize(size);
  if (::EVP_PKEY_is_a(key, "EC") != 1) return out;
  const auto* at = reinterpret_cast<const unsigned char*>(out.data());
  ECDSA_SIG* both = ::d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size));
  std::string raw(64, '\0');
  ::BN_bn2binpad(::ECDSA_SIG_get0_r(both), reinterpret_cast<unsigned char*>(raw.data()), 32);
  ::BN_bn2binpad(::ECDSA_SIG_get0_s(both), reinterpret_cast<unsigned char*>(raw.data()) + 32, 32);
  ::ECDSA_SIG_free(both);
  return raw;
}

std::string unsigned_token(std::string_view header, std::string_view claims) {
  return encode_base64_url(header) + "." + encode_base64_url(claims);
}
std::string token(EVP_PKEY* key, std::string_view header, std::string_view claims) {
  const std::string text = unsigned_token(header, claims);
  return text + "." + encode_base64_url(sign(key, text));
}

constexpr std::string_view kRs256 = R"({"alg":"RS256","typ":"JWT"})";
constexpr std::string_view kEs256 = R"({"alg":"ES256","typ":"JWT"})";
const std::string kClaims =
    fmt::format(R"({{"iss":"auth.example","aud":"reg.example","sub":"ada","exp":{},"nbf":{},)"
                R"("access":[{{"type":"repository","name":"team/a","actions":["pull","push"]}},{{"type":"registry","name":"catalog","actions":["*"]}}]}})",
                kNow + 60, kNow - 60);

class Foreign : public ::testing::Test {
 protected:
  std::unique_ptr<Access> access(std::vector<Rule> rules = {}) {
    folder_ = *os::TempDir::make(::testing::TempDir());
    path_ = folder_.path() + "/keys.pem";
    EXPECT_TRUE(os::write_file_atomically(path_, rsa().pem + ec().pem));
    AccessOptions options;
    options.rules = std::move(rules);
    options.token_server = TokenServer{.realm = "https://auth.example/token", .service = "reg.example", .issuer = "auth.example", .audience = {},
                                       .certificates = path_, .jwks = {}};
    return *Access::make(std::move(options));
  }
  static std::string why(const Access& access, const std::string& text) {
    auto parsed = access.parse_foreign_token(text, kNow);
    return parsed ? "" : parsed.error().message().substr(std::string_view("this token is not valid: ").size());
  }
  os::TempDir folder_;
  std::string path_;
};

TEST_F(Foreign, BothAlgorithmsGiveWhatTheTokenGrants) {
  const auto access = this->access();
  for (const std::string& text : {token(rsa().key, kRs256, kClaims), token(ec().key, kEs256, kClaims)}) {
    Identity who;
    ASSERT_EQ(access->identify("Bearer " + text, kNow, who), Access::Check::known);
    EXPECT_EQ(who.user, "ada");
    EXPECT_TRUE(access->may(who, Right::write, "team/a"));
    EXPECT_FALSE(access->may(who, Right::remove, "team/a"));
    EXPECT_FALSE(access->may(who, Right::read, "team/b"));
    EXPECT_TRUE(access->may_list(who));
  }
  EXPECT_FALSE(access->is_open());
  EXPECT_FALSE(access->may({}, Right::read, "team/a"));
}

TEST_F(Foreign, RulesBoundWhatATokenGrants) {
  const auto access = this->access({{{"ada"}, {"**"}, {Right::read}}});
  const auto who = access->parse_foreign_token(token(rsa().key, kRs256, kClaims), kNow);
  ASSERT_TRUE(who);
  EXPECT_TRUE(access->may(*who, Right::read, "team/a"));
  EXPECT_FALSE(access->may(*who, Right::write, "team/a"));
}

TEST_F(Foreign, ClaimsThatDoNotFitAreNamed) {
  const auto access = this->access();
  const struct {
    std::string claims;
    std::string why;
  } kCases[] = {
      {R"({"iss":"auth.example","aud":"reg.example"})", "it does not say how long it is valid"},
      {R"({"iss":"auth.example","aud":"reg.example","exp":"never"})", "it does not say how long it is valid"},
      {R"({"iss":"auth.example","aud":"reg.example","exp":1e300})", "it does not say how long it is valid"},
      {R"({"iss":"auth.example","aud":"reg.example","exp":1799999999})", "it is too old"},
      {R"({"iss":"auth.example","aud":"reg.example","exp":-1})", "it is too old"},
      {R"({"iss":"auth.example","aud":"reg.example","exp":1800000060,"nbf":1800000040})", "it is not valid yet"},
      {R"({"iss":"auth.example","aud":"reg.example","exp":1800000060,"nbf":"now"})", "it does not say since when it is valid"},
      {R"({"iss":"evil.example","aud":"reg.example","exp":1800000060})", "it is of 'evil.example', not of 'auth.example'"},
      {R"({"aud":"reg.example","exp":1800000060})", "it is of '', not of 'auth.example'"},
      {R"({"iss":"auth.example","aud":"other","exp":1800000060})", "it is for others than 'reg.example'"},
      {R"({"iss":"auth.example","aud":["other",7],"exp":1800000060})", "it is for others than 'reg.example'"},
      {R"({"iss":"auth.example","exp":1800000060})", "it is for others than 'reg.example'"},
      {R"([])", "not JSON"},
      {R"({"iss":"auth.example","aud":["other","reg.example"],"exp":1800000060})", ""},
      {R"({"iss":"auth.example","aud":"reg.example","exp":1800000060.5})", ""},
  };
  for (const auto& one : kCases) EXPECT_EQ(why(*access, token(rsa().key, kRs256, one.claims)), one.why) << one.claims;
}

TEST_F(Foreign, GrantsThatAreNoneGrantNothing) {
  const auto access = this->access();
  for (const char* list : {"7", "[7]", "[{}]", R"([{"type":"repository","name":"../x","actions":["pull"]}])", R"([{"type":"repository","name":"a"}])",
                           R"([{"type":"plugin","name":"a","actions":["pull"]}])", R"([{"type":"repository","name":"a","actions":"pull"}])"}) {
    const std::string claims = fmt::format(R"({{"iss":"auth.example","aud":"reg.example","exp":{},"access":{}}})", kNow + 9, list);
    const auto who = access->parse_foreign_token(token(rsa().key, kRs256, claims), kNow);
    ASSERT_TRUE(who) << list;
    EXPECT_TRUE(who->grants->empty()) << list;
    EXPECT_FALSE(access->may(*who, Right::read, "a"));
    EXPECT_FALSE(access->may_list(*who));
  }
}

TEST_F(Foreign, SignaturesThatAreNoneAreRefused) {
  const auto access = this->access();
  const std::string good = token(rsa().key, kRs256, kClaims);
  // HMAC with the public key as its secret: what takes the algorithm from the token and the key as bytes is fooled.
  const std::string hs256 = unsigned_token(R"({"alg":"HS256"})", kClaims);
  unsigned char mac[32];
  unsigned size = 0;
  ::HMAC(::EVP_sha256(), rsa().pem.data(), static_cast<int>(rsa().pem.size()), reinterpret_cast<const unsigned char*>(hs256.data()), hs256.size(), mac, &size);
  const std::string none = unsigned_token(R"({"alg":"none"})", kClaims);
  EVP_PKEY* stranger = ::EVP_RSA_gen(2048);
  const auto with = [&](std::string_view more) {
    return token(stranger, fmt::format(R"({{"alg":"RS256",{}}})", more), kClaims);
  };
  const std::string unknown = "none of the keys that are known here has signed it";
  const std::pair<std::string, std::string> kCases[] = {
      {none + ".", "it is signed by 'none', want RS256 or ES256"},
      {none + good.substr(good.rfind('.')), "it is signed by 'none', want RS256 or ES256"},
      {token(rsa().key, R"({"alg":"NONE"})", kClaims), "it is signed by 'NONE', want RS256 or ES256"},
      {token(rsa().key, R"({"typ":"JWT"})", kClaims), "it is signed by '', want RS256 or ES256"},
      {token(rsa().key, R"({"alg":["RS256"]})", kClaims), "it is signed by '', want RS256 or ES256"},
      {hs256 + "." + encode_base64_url({reinterpret_cast<const char*>(mac), size}), "it is signed by 'HS256', want RS256 or ES256"},
      {token(stranger, kRs256, kClaims), unknown},
      {token(ec().key, kRs256, kClaims), unknown},
      {token(rsa().key, kEs256, kClaims), unknown},
      {good.substr(0, good.rfind('.')) + ".", unknown},
      {unsigned_token(kEs256, kClaims) + "." + encode_base64_url(std::string(64, '\0')), unknown},
      {good.substr(0, good.find('.')) + "." + encode_base64_url(R"({"iss":"auth.example"})") + good.substr(good.rfind('.')), unknown},
      {token(rsa().key, R"({"alg":"RS256","crit":["exp"]})", kClaims), "it has extensions that must be understood"},
      // A key, or where to get one, that the token brings along.
      {with(R"("jku":"https://evil.example/keys")"), unknown},
      {with(R"("x5u":"https://evil.example/chain")"), unknown},
      {with(R"("jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"})"), unknown},
      {with(R"("kid":"../../dev/null")"), "its key '../../dev/null' is not known here"},
      {with(R"("kid":"' OR 1=1 --")"), "its key '' OR 1=1 --' is not known here"},
      {with(R"("kid":"")"), "its key '' is not known here"},
      {with(R"("kid":7)"), "its key has no name"},
      {token(rsa().key, R"({"alg":"RS256","kid":"other"})", kClaims), "its key 'other' is not known here"},
      {with(R"("x5c":[])"), "its chain of certificates is none"},
      {with(R"("x5c":"AAAA")"), "its chain of certificates is none"},
      {with(R"("x5c":["AAAA"])"), "its chain of certificates is none"},
      {with(R"("x5c":[7])"), "its chain of certificates is none"},
      {"", "not three parts"},
      {"a.b", "not three parts"},
      {good + ".x", "not three parts"},
      {"?.?.?", "not base64"},
      {"YQ.YQ.YQ", "not JSON"},
      {std::string(20'000, 'a'), "it has 20000 bytes, more than 16384"},
      {token(rsa().key, std::string(6000, '['), kClaims), "not JSON"},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(why(*access, text), expected) << text.substr(0, 80);
  ::EVP_PKEY_free(stranger);
}

TEST_F(Foreign, KeysAreKnownByTheirThumbprintAndByLibtrustsName) {
  TokenKeys keys;
  // The key and the thumbprint of RFC 7638, 3.1.
  const std::string jwks =
      R"({"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-384","x":"AA","y":"AA"},)"
      R"({"kty":"RSA","e":"AQAB","kid":"2011-04-29","n":)"
      R"("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W)"
      R"(-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyr)"
      R"(dkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}]})";
  ASSERT_TRUE(keys.add_jwks(jwks, "keys.json"));
  EXPECT_EQ(keys.size(), 1u);
  for (const char* id : {"2011-04-29", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}) {
    const std::string text = token(rsa().key, fmt::format(R"({{"alg":"RS256","kid":"{}"}})", id), kClaims);
    // Known, and still not the one that signed.
    EXPECT_EQ(keys.check(*parse_jwt(text), kNow).error().message(), "this token is not valid: none of the keys that are known here has signed it");
  }
}

TEST_F(Foreign, FilesThatHaveNoKeyAreErrors) {
  TokenKeys keys;
  EXPECT_EQ(keys.add_pem("nothing", "f").error().message(), "'f' has no certificate and no public key");
  EXPECT_EQ(keys.add_jwks("nothing", "f").error().message(), "'f' is not a JSON Web Key Set: {\"keys\": […]}");
  EXPECT_EQ(keys.add_jwks(R"({"keys":[{"kty":"oct"}]})", "f").error().message(), "'f' has no key of RSA or of the curve P-256");
  for (const char* bad : {R"({"kty":"RSA"})", R"({"kty":"RSA","n":"AQAB","e":"AQAB"})", R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})", R"({"kty":"EC"})"})
    EXPECT_FALSE(keys.add_jwks(fmt::format(R"({{"keys":[{}]}})", bad), "f")) << bad;
  // A point that is not on the curve.
  const std::string ones = encode_base64_url(std::string(32, '\1'));
  EXPECT_FALSE(keys.add_jwks(fmt::format(R"({{"keys":[{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}}]}})", ones), "f"));
  // What cannot be read is no end: the keys behind it would be left out.
  const std::string damaged = "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n";
  TokenKeys some;
  EXPECT_EQ(some.add_pem(rsa().pem + damaged + ec().pem, "f").error().message(), "block 2 of 'f' is damaged");
  EXPECT_EQ(some.add_pem(rsa().pem + ec().pem.substr(0, ec().pem.size() / 2), "f").error().message(), "block 2 of 'f' is damaged");
  EVP_PKEY* weak = ::EVP_RSA_gen(1024);
  EXPECT_FALSE(keys.add_pem(pair_of(weak).pem, "f"));
  ::EVP_PKEY_free(weak);
  EVP_PKEY* other = ::EVP_EC_gen("P-384");
  EXPECT_FALSE(keys.add_pem(pair_of(other).pem, "f"));
  ::EVP_PKEY_free(other);
  EXPECT_EQ(keys.size(), 0u);
}

TEST_F(Foreign, KeysAreReadAgainWhenTheyChange) {
  const auto access = this->access();
  const std::string text = token(ec().key, kEs256, kClaims);
  EXPECT_EQ(why(*access, text), "");
  ASSERT_TRUE(os::write_file_atomically(path_, rsa().pem));
  ASSERT_TRUE(access->reload_if_changed());
  EXPECT_NE(why(*access, text), "");
  // A file that is none changes nothing, and is told once.
  ASSERT_TRUE(os::write_file_atomically(path_, "nonsense"));
  EXPECT_FALSE(access->reload_if_changed());
  EXPECT_TRUE(access->reload_if_changed());
  EXPECT_EQ(why(*access, token(rsa().key, kRs256, kClaims)), "");
}

}  // namespace
}  // namespace kist::registry_server

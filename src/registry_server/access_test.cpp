#include "registry_server/access.h"

#include <gtest/gtest.h>

#include "base/base64.h"
#include "registry_server/config.h"
#include "registry_server/test_world.h"

namespace kist::registry_server {
namespace {

using testing::World;

// "secret", of the lowest cost.
constexpr std::string_view kHash = "$2b$04$CCCCCCCCCCCCCCCCCCCCC.uwdB0qcUaxgSVV4rrsKeKYOmNVJZjgm";
constexpr std::string_view kAda = "Basic YWRhOnNlY3JldA==";
constexpr std::string_view kWrong = "Basic YWRhOndyb25n";
constexpr int64_t kNow = 1'800'000'000;

class Users : public ::testing::Test {
 protected:
  AccessOptions options(std::vector<Rule> rules = {}) {
    folder_ = *os::TempDir::make(::testing::TempDir());
    const std::string path = folder_.path() + "/users";
    EXPECT_TRUE(os::write_file_atomically(path, fmt::format("# people\nada:{}\n\nbob:{}\n", hash(), hash())));
    return {.htpasswd = path, .rules = std::move(rules), .anonymous = {}, .has_tokens = true,
            .token_key = http::Secret(std::string(32, 'k'))};
  }
  static std::string hash();
  os::TempDir folder_;
};

}  // namespace
}  // namespace kist::registry_server

#include <crypt.h>

namespace kist::registry_server {
namespace {

std::string Users::hash() {
  crypt_data data = {};
  const char* made = ::crypt_r("secret", std::string(kHash.substr(0, 29)).c_str(), &data);
  return made == nullptr ? "" : made;
}

TEST_F(Users, PasswordsAreComparedOnceAMinute) {
  const auto access = *Access::make(options());
  Identity who;
  EXPECT_EQ(access->identify(kAda, kNow, who), Access::Check::unknown);
  EXPECT_FALSE(access->check_password(kWrong));
  EXPECT_FALSE(access->check_password("Basic ZXZlOnNlY3JldA=="));  // eve, who does not exist.
  EXPECT_EQ(access->check_password(kAda)->user, "ada");
  EXPECT_EQ(access->identify(kAda, kNow, who), Access::Check::known);
  EXPECT_EQ(who.user, "ada");
  EXPECT_EQ(access->identify(kWrong, kNow, who), Access::Check::unknown);
  EXPECT_EQ(access->identify("Digest x", kNow, who), Access::Check::wrong);
  EXPECT_EQ(access->identify("", kNow, who), Access::Check::known);
}

TEST_F(Users, ChangesOfTheFileCount) {
  const AccessOptions given = options();
  const auto access = *Access::make(given);
  EXPECT_TRUE(access->check_password(kAda));
  ASSERT_TRUE(os::write_file_atomically(given.htpasswd, fmt::format("bob:{}\n", hash())));
  EXPECT_TRUE(access->reload_if_changed());
  Identity who;
  EXPECT_EQ(access->identify(kAda, kNow, who), Access::Check::unknown);
  EXPECT_FALSE(access->check_password(kAda));
  // A broken file changes nothing.
  ASSERT_TRUE(os::write_file_atomically(given.htpasswd, "bob:plain\n"));
  EXPECT_FALSE(access->reload());
  EXPECT_TRUE(access->check_password("Basic Ym9iOnNlY3JldA=="));
}

TEST_F(Users, RulesSayWhoMayWhat) {
  const auto access = *Access::make(options({{{"ada"}, {"team/**"}, {Right::read, Right::write}},
                                             {{"*"}, {"shared/*"}, {Right::read}},
                                             {{"anonymous"}, {"public"}, {Right::read}}}));
  const Identity ada{"ada", {}}, bob{"bob", {}}, nobody{};
  EXPECT_TRUE(access->may(ada, Right::write, "team/x/y"));
  EXPECT_FALSE(access->may(ada, Right::remove, "team/x/y"));
  EXPECT_FALSE(access->may(bob, Right::read, "team/x"));
  EXPECT_TRUE(access->may(bob, Right::read, "shared/x"));
  EXPECT_FALSE(access->may(nobody, Right::read, "shared/x"));
  EXPECT_TRUE(access->may(nobody, Right::read, "public"));
}

TEST_F(Users, TokensCarryWhatTheRulesAllow) {
  const auto access = *Access::make(options({{{"ada"}, {"team/**"}, {Right::read, Right::write}}}));
  const std::string token = access->make_token({"ada", {}}, {"repository:team/a:pull,push,delete", "repository:other:pull", "nonsense"}, kNow);
  Identity who;
  ASSERT_EQ(access->identify("Bearer " + token, kNow, who), Access::Check::known);
  EXPECT_EQ(who.user, "ada");
  EXPECT_TRUE(access->may(who, Right::write, "team/a"));
  EXPECT_FALSE(access->may(who, Right::remove, "team/a"));
  EXPECT_FALSE(access->may(who, Right::read, "team/b")) << "the token is not for it";
  EXPECT_FALSE(access->may(who, Right::read, "other"));
  EXPECT_EQ(access->identify("Bearer " + token, kNow + 301, who), Access::Check::wrong) << "too old";
}

TEST_F(Users, TokensThatWereChangedAreWorthless) {
  const auto access = *Access::make(options());
  const std::string token = access->make_token({"ada", {}}, {"repository:a:pull"}, kNow);
  const size_t first = token.find('.'), second = token.rfind('.');
  const auto claims = decode_base64_url(std::string_view(token).substr(first + 1, second - first - 1));
  std::string raised = *claims;
  raised.replace(raised.find("pull"), 4, "push");
  const std::string none = encode_base64_url(R"({"alg":"none","typ":"JWT"})");
  for (const std::string& bad : {token.substr(0, first + 1) + encode_base64_url(raised) + token.substr(second),
                                 none + token.substr(first), none + token.substr(first, second - first + 1), token + "x",
                                 token.substr(0, second), std::string("a.b.c"), std::string(".."), std::string(20'000, '.'), token + ".x"}) {
    const auto parsed = access->parse_token(bad, kNow);
    EXPECT_FALSE(parsed) << bad.substr(0, 50);
  }
  AccessOptions other = access->options();
  other.token_key = http::Secret(std::string(32, 'x'));
  EXPECT_FALSE((*Access::make(other))->parse_token(token, kNow));
}

TEST_F(Users, TheRegistryAsksForALogin) {
  World world(options({{{"ada"}, {"**"}, {Right::read, Right::write}}, {{"bob"}, {"shared"}, {Right::read}}}));
  auto got = world.ask("GET", "/v2/team/a/manifests/x", "", {{"Host", "reg.example:5000"}});
  EXPECT_EQ(got.status, 401);
  EXPECT_EQ(got.header("WWW-Authenticate"),
            "Bearer realm=\"http://reg.example:5000/token\",service=\"kist-registry\",scope=\"repository:team/a:pull\"");
  EXPECT_EQ(world.ask("GET", "/v2/", "", {{"Authorization", kWrong}}).status, 401);
  EXPECT_EQ(world.ask("GET", "/v2/", "", {{"Authorization", kAda}}).status, 200);
  // A host that would break out of the header is not repeated.
  got = world.ask("GET", "/v2/", "", {{"Host", "x\",realm=\"http://evil"}});
  EXPECT_EQ(got.header("WWW-Authenticate").find("evil"), std::string::npos);

  got = world.ask("GET", "/token?service=kist-registry&scope=repository:team/a:pull,push", "", {{"Authorization", kAda}});
  EXPECT_EQ(got.status, 200);
  const std::string token = got.body.substr(10, got.body.find('"', 10) - 10);
  const std::string bearer = "Bearer " + token;
  EXPECT_EQ(world.ask("POST", "/v2/team/a/blobs/uploads/", "", {{"Authorization", bearer}}).status, 202);
  EXPECT_EQ(world.ask("POST", "/v2/team/b/blobs/uploads/", "", {{"Authorization", bearer}}).status, 401);
  // A token is no login.
  EXPECT_EQ(world.ask("GET", "/token?scope=repository:team/b:pull", "", {{"Authorization", bearer}}).status, 401);
  // Logged in, and still not allowed: another login does not help.
  EXPECT_EQ(world.ask("POST", "/v2/shared/blobs/uploads/", "", {{"Authorization", "Basic Ym9iOnNlY3JldA=="}}).status, 403);
}

TEST_F(Users, MountNeedsTheRightToReadTheSource) {
  World world(options({{{"ada"}, {"**"}, {Right::read, Right::write}}, {{"bob"}, {"bobs"}, {Right::read, Right::write}}}));
  const std::string digest = Hasher::of(Algorithm::sha256, "secret layer").string();
  EXPECT_EQ(world.ask("POST", "/v2/team/a/blobs/uploads/?digest=" + digest, "secret layer", {{"Authorization", kAda}}).status, 201);
  const std::string_view bob = "Basic Ym9iOnNlY3JldA==";
  EXPECT_EQ(world.ask("POST", "/v2/bobs/blobs/uploads/?mount=" + digest + "&from=team/a", "", {{"Authorization", bob}}).status, 202);
  EXPECT_EQ(world.ask("POST", "/v2/bobs/blobs/uploads/?mount=" + digest, "", {{"Authorization", bob}}).status, 202);
  EXPECT_EQ(world.ask("GET", "/v2/bobs/blobs/" + digest, "", {{"Authorization", bob}}).status, 404);
}

TEST_F(Users, AnonymousReading) {
  AccessOptions given = options();
  given.anonymous = {Right::read};
  World world(given);
  EXPECT_EQ(world.ask("GET", "/v2/a/manifests/x").status, 404);
  EXPECT_EQ(world.ask("POST", "/v2/a/blobs/uploads/").status, 401);
}

TEST(Htpasswd, OnlyBcrypt) {
  EXPECT_FALSE(parse_htpasswd("ada:$apr1$x$y"));
  EXPECT_FALSE(parse_htpasswd("ada"));
  EXPECT_FALSE(parse_htpasswd(":" + std::string(kHash)));
  const auto error = parse_htpasswd("# x\nada:plain").error();
  EXPECT_EQ(error.message(), "line 2 is not 'user:' and a bcrypt hash");
}

TEST(Scope, Forms) {
  EXPECT_EQ(parse_scope("repository:a/b:pull,push")->rights.size(), 2u);
  EXPECT_EQ(parse_scope("repository:a/b:*")->rights.size(), 3u);
  EXPECT_TRUE(parse_scope("repository:a/b:")->rights.empty());
  for (const char* bad : {"", "repository:a", "repository:A:pull", "registry:catalog:*", "repository:../a:pull"})
    EXPECT_FALSE(parse_scope(bad)) << bad;
}

TEST(Config, AllOfIt) {
  const auto config = parse_config(R"(
[server]
listen = [":5000"]
root = "/srv/registry"
read_only = true
[tls]
certificate = "c.pem"
key = "k.pem"
[limits]
blob = "10 GiB"
requests_per_second = 50
[auth]
htpasswd = "users"
anonymous = ["read"]
tokens = true
token_lifetime = "10m"
[[access]]
users = ["ci"]
repositories = ["team/**"]
rights = ["read", "write", "delete"]
[[quota]]
repositories = "team/**"
bytes = "50 GB"
[[retention]]
repositories = "team/*"
tags = "build-*"
keep_last = 10
keep_for = "30d"
[gc]
every = "1h"
untagged = true
)", "registry.toml");
  ASSERT_TRUE(config) << config.error().render();
  EXPECT_EQ(config->registry.blob_bytes, 10ull << 30);
  EXPECT_EQ(config->access.token_lifetime.count(), 600);
  EXPECT_EQ(config->access.rules.at(0).rights.size(), 3u);
  EXPECT_EQ(config->quotas.at(0).bytes, 50'000'000'000u);
  EXPECT_EQ(config->retention.at(0).tags.at(0), "build-*");
  EXPECT_EQ(config->retention.at(0).keep_for->count(), 30 * 86400);
  EXPECT_TRUE(config->gc.takes_untagged);
}

TEST(Config, WhatIsWrongIsNamed) {
  const struct {
    const char *text, *message;
  } kCases[] = {{"[server]\nlisten = 5", "r.toml:2:10: 'server.listen' is an integer, want an array of strings"},
                {"[server]\nlissten = ':5'", "r.toml:2:11: unknown key 'server.lissten'"},
                {"[sever]", "r.toml:1:1: unknown key 'sever'"},
                {"[limits]\nblob = 'much'", "r.toml:2:8: 'limits.blob' is not a size such as \"10 GB\""},
                {"[tls]\nkey = 'k'", "r.toml: [tls] needs 'certificate' and 'key'"},
                {"[auth]\nanonymous = ['reed']", "r.toml:2:13: 'reed' is not a right"},
                {"[token_server]\nrealm = 'r'", "r.toml: [token_server] needs 'realm', 'service' and 'issuer'"},
                {"[token_server]\nrealm = 'r'\nservice = 's'\nissuer = 'i'",
                 "r.toml: [token_server] needs 'certificates' or 'jwks', to know its tokens by"},
                {"[token_server]\nrealm = 'r\"'\nservice = 's'\nissuer = 'i'", "r.toml: [token_server] has a quote or a line's end in 'r\"'"},
                {"[auth]\ntokens = true\n[token_server]\nrealm = 'r'\nservice = 's'\nissuer = 'i'\njwks = 'j'",
                 "r.toml: [token_server] is instead of 'htpasswd' and 'tokens' under [auth]"},
                {"[[access]]\nusers = ['a']", "r.toml: [[access]] needs 'users', 'repositories' and 'rights'"}};
  for (const auto& one : kCases) {
    const auto config = parse_config(one.text, "r.toml");
    ASSERT_FALSE(config) << one.text;
    EXPECT_EQ(config.error().message(), one.message);
  }
}

}  // namespace
}  // namespace kist::registry_server

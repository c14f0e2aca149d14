#include "registry/challenge.h"

#include <gtest/gtest.h>

namespace kist::registry {
namespace {

TEST(ChallengeTest, ReadsOneOfEachKind) {
  const auto bearer = parse_challenges(
      R"(Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull")");
  ASSERT_EQ(bearer.size(), 1u);
  EXPECT_EQ(bearer[0].scheme, "bearer");
  EXPECT_EQ(bearer[0].parameters.at("realm"), "https://auth.example/token");
  EXPECT_EQ(bearer[0].parameters.at("service"), "registry.example");
  EXPECT_EQ(bearer[0].parameters.at("scope"), "repository:a/b:pull");
  const auto basic = parse_challenges("BASIC Realm=plain");
  ASSERT_EQ(basic.size(), 1u);
  EXPECT_EQ(basic[0].scheme, "basic");
  EXPECT_EQ(basic[0].parameters.at("realm"), "plain");
}

TEST(ChallengeTest, ReadsSeveralOfOneField) {
  const auto all = parse_challenges(R"(Negotiate, Basic realm="a, b", charset="UTF-8" , Bearer realm="https://x/t",)"
                                    R"(scope="repository:a:pull,push")");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].scheme, "negotiate");
  EXPECT_TRUE(all[0].parameters.empty());
  EXPECT_EQ(all[1].parameters.at("realm"), "a, b");
  EXPECT_EQ(all[1].parameters.at("charset"), "UTF-8");
  EXPECT_EQ(all[2].parameters.at("scope"), "repository:a:pull,push");
}

TEST(ChallengeTest, WhatStandsBehindATokenOf68CharactersIsSeen) {
  const auto all = parse_challenges(R"(NTLM TlRMTVNTUAAB==, Basic realm="x")");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].scheme, "basic");
}

TEST(ChallengeTest, EscapesInQuotes) {
  const auto all = parse_challenges(R"(Basic realm="a \"quoted\" \\ realm", other="x")");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].parameters.at("realm"), R"(a "quoted" \ realm)");
  EXPECT_EQ(all[0].parameters.at("other"), "x");
}

TEST(ChallengeTest, TheFirstOfTwoParametersWithOneNameCounts) {
  const auto all = parse_challenges(R"(Bearer realm="https://first/",realm="https://second/")");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].parameters.at("realm"), "https://first/");
}

TEST(ChallengeTest, HostileFieldsEnd) {
  EXPECT_TRUE(parse_challenges("").empty());
  EXPECT_TRUE(parse_challenges(" ,,, \t").empty());
  EXPECT_TRUE(parse_challenges("\"Bearer\"").empty());
  EXPECT_TRUE(parse_challenges(std::string_view("\0Bearer", 7)).empty());
  EXPECT_EQ(parse_challenges(R"(Bearer realm="never ends)")[0].parameters.at("realm"), "never ends");
  EXPECT_EQ(parse_challenges(R"(Bearer realm="ends with \)")[0].parameters.at("realm"), "ends with \\");
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "Basic realm=x, ";
  EXPECT_LE(parse_challenges(many).size(), 16u);
}

TEST(ChallengeTest, WhoMaySeeAPassword) {
  struct Case {
    const char* registry;
    bool plain;
    const char* realm;
    bool may;
  };
  const Case cases[] = {
      {"registry.example.com", false, "https://registry.example.com/token", true},
      {"registry.example.com:5000", false, "https://registry.example.com:5001/token", true},
      {"Registry.Example.com", false, "https://REGISTRY.example.COM/token", true},
      {"registry.example.com", false, "https://auth.example.com/token", true},
      {"a.b.example.com", false, "https://auth.example.com/token", true},
      // Without TLS only where the registry itself has none, and then only to itself.
      {"registry.example.com", false, "http://registry.example.com/token", false},
      {"registry.example.com", false, "http://auth.example.com/token", false},
      {"localhost:5000", true, "http://localhost:5001/token", true},
      {"registry.example.com", true, "http://auth.example.com/token", false},
      // Other people.
      {"registry.example.com", false, "https://example.org/token", false},
      {"registry.example.com", false, "https://example.com.evil.org/token", false},
      {"registry.example.com", false, "https://evilexample.com/token", false},
      {"registry.example.com", false, "https://registry.example.com@evil.org/", false},
      {"registry.example.com", false, "https://evil.org/?registry.example.com", false},
      {"registry.example.com", false, "https://evil.org#@registry.example.com/", false},
      // Below these anybody may have a name.
      {"registry.one.co.uk", false, "https://auth.two.co.uk/", false},
      {"registry.one.co.uk", false, "https://auth.one.co.uk/", true},
      {"registry.one.com.au", false, "https://auth.two.com.au/", false},
      {"registry.com", false, "https://other.com/", false},
      // Addresses have no domain.
      {"10.0.0.1:5000", false, "https://10.0.0.1/", true},
      {"10.0.0.1:5000", false, "https://10.1.0.1/", false},
      {"10.0.0.1", false, "https://9.0.0.1/", false},
      {"[2001:db8::1]:5000", false, "https://[2001:db8::1]/", true},
      {"[2001:db8::1]:5000", false, "https://[2001:db8::2]/", false},
      {"intranet", false, "https://other/", false},
      {"intranet", false, "https://intranet/", true},
      // No addresses at all.
      {"registry.example.com", false, "", false},
      {"registry.example.com", false, "registry.example.com/token", false},
      {"registry.example.com", false, "ftp://registry.example.com/token", false},
      {"", false, "https:///token", false},
  };
  for (const Case& c : cases)
    EXPECT_EQ(may_have_password(c.registry, c.plain, c.realm), c.may) << c.registry << " " << c.realm;
}

TEST(ChallengeTest, Tokens) {
  EXPECT_EQ(parse_token(R"({"token":"abc"})")->reveal(), "abc");
  EXPECT_EQ(parse_token(R"({"access_token":"abc"})")->reveal(), "abc");
  EXPECT_EQ(parse_token(R"({"token":"","access_token":"abc"})")->reveal(), "abc");
  EXPECT_EQ(parse_token(R"({"token":7,"access_token":"abc","expires_in":60})")->reveal(), "abc");
}

TEST(ChallengeTest, WhatIsNoTokenIsRefusedAndNotShown) {
  const std::string huge = R"({"token":")" + std::string(1 << 18, 'x') + R"("})";
  for (const std::string_view text :
       {std::string_view(""), std::string_view("{}"), std::string_view("[]"), std::string_view("null"),
        std::string_view("<html>"), std::string_view(R"({"token":null})"), std::string_view(R"({"token":"a\r\nX: y"})"),
        std::string_view(R"({"token":"a\u0000b"})"), std::string_view(R"({"token":"two words"})"),
        std::string_view(R"({"token":"é"})"), std::string_view(huge)}) {
    const auto token = parse_token(text);
    ASSERT_FALSE(token) << text.substr(0, 100);
    EXPECT_EQ(token.error().code(), Code::corrupt);
    EXPECT_EQ(token.error().message(), "the token server's answer has no token in it");
  }
  EXPECT_FALSE(parse_token(std::string(100'000, '[')));
}

TEST(ChallengeTest, ScopesAndQueries) {
  EXPECT_EQ(scope_of("team/tool", false), "repository:team/tool:pull");
  EXPECT_EQ(scope_of("team/tool", true), "repository:team/tool:pull,push");
  EXPECT_EQ(escape("repository:a/b:pull,push"), "repository%3Aa%2Fb%3Apull%2Cpush");
  EXPECT_EQ(escape("a-._~Z9"), "a-._~Z9");
  EXPECT_EQ(escape("é&="), "%C3%A9%26%3D");
}

}  // namespace
}  // namespace kist::registry

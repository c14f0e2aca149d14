#include "registry_server/names.h"

#include <gtest/gtest.h>

#include <string>

#include "registry_server/content_digest.h"
#include "registry_server/routes.h"

namespace kist::registry_server {
namespace {

TEST(RepositoryName, Grammar) {
  for (const char* good : {"a", "a/b", "a/b/c/d", "team/tool-2", "a.b", "a_b", "a__b", "a---b", "0/1", "blobs/uploads", "a.b_c-d"})
    EXPECT_TRUE(is_repository_name(good)) << good;
  for (const char* bad : {"", "/", "a/", "/a", "a//b", ".", "..", "a/..", "../a", "a/../b", "A", "a/B", "a.", ".a", "a..b", "a___b",
                          "_a", "a_", "a-", "-a", "a._b", "a b", "a%2fb", "a\\b", "a\nb", "\xc3\xa9", "_catalog", "a/_tags"})
    EXPECT_FALSE(is_repository_name(bad)) << bad;
  EXPECT_TRUE(is_repository_name(std::string(255, 'a')));
  EXPECT_FALSE(is_repository_name(std::string(256, 'a')));
  EXPECT_FALSE(is_repository_name(std::string_view("a\0b", 3)));
}

TEST(Tag, Grammar) {
  for (const char* good : {"latest", "1.2.3", "_x", "A-b.C_d"}) EXPECT_TRUE(is_tag(good)) << good;
  for (const char* bad : {"", ".", "..", "-a", ".a", "a/b", "a:b", "a b", "a\n", "\xc3\xa9"}) EXPECT_FALSE(is_tag(bad)) << bad;
  EXPECT_TRUE(is_tag(std::string(128, 'a')));
  EXPECT_FALSE(is_tag(std::string(129, 'a')));
}

TEST(FitsPattern, StarsAndDoubleStars) {
  const struct {
    const char *name, *pattern;
    bool fits;
  } kCases[] = {{"team/tool", "team/tool", true}, {"team/tool", "team/*", true},      {"team/a/b", "team/*", false},
                {"team/a/b", "team/**", true},    {"team", "team/**", true},          {"team", "**", true},
                {"a/b/c", "**/c", true},          {"a/b/c", "**/b", false},           {"a/b/c", "a/**/c", true},
                {"a/c", "a/**/c", true},          {"a/x/c/y/c", "a/**/c", true},      {"tool-7", "tool-*", true},
                {"tool", "*oo*", true},           {"tool", "*x*", false},             {"a/b", "*", false},
                {"a/b", "*/*", true},             {"", "**", true},                   {"a", "", false}};
  for (const auto& one : kCases) EXPECT_EQ(fits_pattern(one.name, one.pattern), one.fits) << one.name << " " << one.pattern;
}

// Many stars on a long name end at once, not after the age of the universe.
TEST(FitsPattern, IsNotExponential) {
  std::string pattern, name(250, 'a');
  for (int i = 0; i < 100; ++i) pattern += "*a";
  EXPECT_FALSE(fits_pattern(name, pattern + "b"));
}

TEST(Digest, BothAlgorithmsAndNothingElse) {
  EXPECT_TRUE(ContentDigest::parse("sha256:" + std::string(64, 'a')));
  EXPECT_TRUE(ContentDigest::parse("sha512:" + std::string(128, '0')));
  for (const std::string& bad : {std::string("sha256:") + std::string(63, 'a'), "sha256:" + std::string(64, 'A'), "sha256:" + std::string(64, 'g'),
                                 "sha512:" + std::string(64, 'a'), "md5:" + std::string(32, 'a'), std::string("sha256"), std::string(),
                                 "sha256:../" + std::string(61, 'a')})
    EXPECT_FALSE(ContentDigest::parse(bad)) << bad;
  EXPECT_EQ(Hasher::of(Algorithm::sha256, "").string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Route, IsReadFromTheEnd) {
  using Kind = Route::Kind;
  const struct {
    const char* path;
    Kind kind;
    const char *repository, *last;
  } kCases[] = {{"/v2/", Kind::base, "", ""},
                {"/v2", Kind::base, "", ""},
                {"/v2/_catalog", Kind::catalog, "", ""},
                {"/v2/a/b/tags/list", Kind::tags, "a/b", ""},
                {"/v2/tags/list/tags/list", Kind::tags, "tags/list", ""},
                {"/v2/a/manifests/latest", Kind::manifest, "a", "latest"},
                {"/v2/a/manifests/manifests/x", Kind::manifest, "a/manifests", "x"},
                {"/v2/a/blobs/sha256:0", Kind::blob, "a", "sha256:0"},
                {"/v2/a/blobs/uploads", Kind::uploads, "a", ""},
                {"/v2/a/blobs/uploads/", Kind::uploads, "a", ""},
                {"/v2/a/blobs/uploads/77", Kind::upload, "a", "77"},
                {"/v2/blobs/uploads/blobs/uploads/77", Kind::upload, "blobs/uploads", "77"},
                {"/v2/a/referrers/sha256:0", Kind::referrers, "a", "sha256:0"},
                {"/token", Kind::token, "", ""}};
  for (const auto& one : kCases) {
    const auto route = parse_route(one.path);
    ASSERT_TRUE(route) << one.path;
    EXPECT_EQ(route->kind, one.kind) << one.path;
    EXPECT_EQ(route->repository, one.repository) << one.path;
    EXPECT_EQ(route->last, one.last) << one.path;
  }
  for (const char* none : {"", "/", "/v1/", "/v2/a", "/v2/a/b", "/v2//tags/list", "/v2/manifests/x", "/v2/a/tags", "/v2x/"})
    EXPECT_FALSE(parse_route(none)) << none;
}

}  // namespace
}  // namespace kist::registry_server

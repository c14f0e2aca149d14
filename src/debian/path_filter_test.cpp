#include "debian/path_filter.h"

#include <gtest/gtest.h>

namespace kist::debian {
namespace {

TEST(PathFilterTest, MatchesLikeAShellAcrossSlashes) {
  const struct {
    const char* text;
    const char* pattern;
    bool matches;
  } cases[] = {
      {"/a/b", "/a/*", true},      {"/a/b/c", "/a/*", true},  {"/a", "/a/*", false},
      {"abc", "a?c", true},        {"ac", "a?c", false},      {"x1", "x[0-9]", true},
      {"xa", "x[!0-9]", true},     {"x1", "x[!0-9]", false},  {"x[", "x[", true},
      {"aaab", "*a*b", true},      {"", "*", true},           {"", "", true},
      {"a", "", false},            {"a]", "a]", true},        {"lib.so.1", "lib*.so*", true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.text) + " ~ " + c.pattern);
    EXPECT_EQ(matches_pattern(c.text, c.pattern), c.matches);
  }
  // No exponential time on what a hostile pattern or name would try.
  EXPECT_FALSE(matches_pattern(std::string(5000, 'a'), "*a*a*a*a*a*a*a*a*a*a*b"));
}

TEST(PathFilterTest, LastRuleThatMatchesDecides) {
  const PathFilter slim = PathFilter::slim();
  EXPECT_TRUE(slim.excludes("usr/share/doc/libc6/changelog.gz"));
  EXPECT_FALSE(slim.excludes("usr/share/doc/libc6/copyright"));
  EXPECT_TRUE(slim.excludes("usr/share/locale/de/LC_MESSAGES/x.mo"));
  EXPECT_FALSE(slim.excludes("usr/share/locale/locale.alias"));
  EXPECT_FALSE(slim.excludes("usr/lib/locale/C.utf8/LC_CTYPE"));
  EXPECT_FALSE(slim.excludes("usr/bin/env"));
  EXPECT_FALSE(PathFilter().excludes("usr/share/doc/x"));
}

TEST(PathFilterTest, TextNamesEveryRule) {
  PathFilter filter;
  filter.exclude("/a/*").include("/a/b");
  EXPECT_EQ(filter.text(), "path-exclude /a/*\npath-include /a/b\n");
}

}  // namespace
}  // namespace kist::debian

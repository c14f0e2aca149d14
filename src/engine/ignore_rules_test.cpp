#include "engine/ignore_rules.h"

#include <gtest/gtest.h>

namespace kist::engine {
namespace {

TEST(IgnoreRulesTest, NamesMatchAsInAShell) {
  const struct {
    const char* pattern;
    const char* name;
    bool matches;
  } cases[] = {
      {"*.py", "a.py", true},      {"*.py", ".py", true},       {"*.py", "a.pyc", false},  {"a?c", "abc", true},
      {"a?c", "ac", false},        {"[a-c]x", "bx", true},      {"[!a-c]x", "bx", false},  {"[!a-c]x", "dx", true},
      {"[]]", "]", true},          {"[", "[", true},            {"\\*", "*", true},        {"\\*", "a", false},
      {"a*b*c", "a-b-b-c", true},  {"a*b*c", "a-b-b", false},   {"", "", true},            {"*", "", true},
      {"x", "", false},            {"[a-", "[a-", true},
  };
  for (const auto& c : cases) EXPECT_EQ(matches_name(c.pattern, c.name), c.matches) << c.pattern << " " << c.name;
  // No pattern takes long.
  EXPECT_FALSE(matches_name(std::string(60, '*') + "b", std::string(20'000, 'a')));
}

TEST(IgnoreRulesTest, GitsRules) {
  IgnoreRules rules;
  rules.add_git("", "# a comment\n*.log\n!keep.log\n/top\nbuild/\ndocs/*.html\ndeep/**\n**/any/x\nspace\\ \r\n");
  rules.add_git("sub", "/here\n!sub.log\n");
  const struct {
    const char* path;
    bool is_folder;
    bool is_ignored;
  } cases[] = {
      {"a.log", false, true},        {"x/y/a.log", false, true},     {"keep.log", false, false},
      {"x/keep.log", false, false},  {"top", false, true},           {"x/top", false, false},
      {"build", true, true},         {"build", false, false},        {"x/build", true, true},
      {"docs/a.html", false, true},  {"docs/x/a.html", false, false}, {"deep", true, false},
      {"deep/a", false, true},       {"deep/a/b", false, true},      {"any/x", false, true},
      {"p/q/any/x", false, true},    {"sub/here", false, true},      {"here", false, false},
      {"sub/x/here", false, false},  {"sub/sub.log", false, false},  {"sub.log", false, true},
      {"# a comment", false, false}, {"space ", false, true},
  };
  for (const auto& c : cases) EXPECT_EQ(rules.ignores(c.path, c.is_folder), c.is_ignored) << c.path;
}

TEST(IgnoreRulesTest, DockersRules) {
  IgnoreRules rules;
  rules.add_docker("# comment\n*.md\n!README.md\n/data\n**/secret*\nnode/*\n!data/keep\n");
  const struct {
    const char* path;
    bool is_ignored;
  } cases[] = {
      {"a.md", true},         {"x/a.md", false},    {"README.md", false},      {"data", true},
      {"data/big", true},     {"data/keep", false}, {"data/keep/more", false}, {"x/data", false},
      {"secret.txt", true},   {"a/b/secrets", true}, {"a/secret/in", true},    {"node", false},
      {"node/x", true},       {"node/x/y", true},
  };
  for (const auto& c : cases) EXPECT_EQ(rules.ignores(c.path, false), c.is_ignored) << c.path;
  EXPECT_TRUE(rules.may_hold_exceptions("data"));
  EXPECT_FALSE(IgnoreRules().may_hold_exceptions("data"));
}

TEST(IgnoreRulesTest, AnExceptionDoesNotReachIntoAFolderThatGitIgnores) {
  IgnoreRules rules;
  rules.add_git("", "out/\n");
  rules.add_docker("!out/x\n");
  EXPECT_FALSE(rules.may_hold_exceptions("out"));
}

}  // namespace
}  // namespace kist::engine

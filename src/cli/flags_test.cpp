#include "cli/flags.h"

#include <gtest/gtest.h>

#include "cli/verbs.h"

namespace kist::cli {
namespace {

Result<Parsed> parse_run(std::vector<std::string> args) { return parse(*find_verb("run"), args); }

TEST(FlagsTest, FlagsEndWhereTheCommandBegins) {
  const auto got = parse_run({"-v", "a:/a", "-vb:/b", "--env=dev", "-q", "python", "-v", "x.py"});
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->values("--volume"), (std::vector<std::string>{"a:/a", "b:/b"}));
  EXPECT_EQ(got->value("--env"), "dev");
  EXPECT_TRUE(got->has("--quiet"));
  EXPECT_EQ(got->positionals(), (std::vector<std::string>{"python", "-v", "x.py"}));
}

TEST(FlagsTest, DashDashEndsTheFlags) {
  const auto got = parse_run({"--", "-x", "--help"});
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->positionals(), (std::vector<std::string>{"-x", "--help"}));
}

TEST(FlagsTest, ErrorsNameWhatIsWrongAndTheNearest) {
  const struct {
    std::vector<std::string> args;
    std::string message;
    std::string hint;
  } cases[] = {
      {{"--volme", "x"}, "kist run has no flag '--volme'", "did you mean `--volume`?"},
      {{"-Z"}, "kist run has no flag '-Z'", "`kist run --help` lists them"},
      {{"--root=1", "x"}, "--root takes no value, got '--root=1'", ""},
      {{"--from"}, "--from needs a value: FILE", ""},
      {{"--from", "a", "--from", "b", "x"}, "--from is given twice: 'a' and 'b'", ""},
  };
  for (const auto& c : cases) {
    const auto got = parse_run(c.args);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
    EXPECT_EQ(got.error().hint_text(), c.hint);
  }
}

TEST(FlagsTest, WhatIsNeededIsAskedFor) {
  const auto got = parse(*find_verb("task"), std::vector<std::string>{});
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().message(), "kist task needs NAME [ARG…]");
  EXPECT_EQ(got.error().hint_text(), "`kist task --help`");
}

TEST(VerbsTest, EveryVerbHasHelpAndEveryFlagAnExplanation) {
  for (const VerbGroup& group : verb_groups()) {
    for (const VerbSpec& verb : group.verbs) {
      EXPECT_NE(help(verb).find(verb.summary), std::string::npos);
      for (const FlagSpec& flag : verb.flags) {
        EXPECT_TRUE(flag.name.starts_with("--")) << verb.name;
        EXPECT_FALSE(flag.help.empty()) << verb.name << flag.name;
      }
    }
  }
}

TEST(VerbsTest, MisspeltVerbGetsASuggestion) {
  EXPECT_EQ(unknown_verb("verfy").hint_text(), "did you mean `kist verify`?");
}

}  // namespace
}  // namespace kist::cli

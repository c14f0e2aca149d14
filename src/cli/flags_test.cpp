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

// As docker, for every verb: what a script appends wins over what it was given.
TEST(FlagsTest, OfTheSameFlagTheLastOneCounts) {
  const auto got = parse_run({"--name", "a", "-m", "1g", "--name=b", "--memory", "2g", "-v", "a:/a", "-v", "b:/b", "x"});
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->values("--name"), (std::vector<std::string>{"b"}));
  EXPECT_EQ(got->value("--memory"), "2g");
  EXPECT_EQ(got->values("--volume"), (std::vector<std::string>{"a:/a", "b:/b"})) << "of several all count";
}

TEST(FlagsTest, DashDashEndsTheFlags) {
  const auto got = parse_run({"--", "-x", "--help"});
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->positionals(), (std::vector<std::string>{"-x", "--help"}));
}

TEST(FlagsTest, SwitchesMayBeGivenTheirValue) {
  const auto got = parse(*find_verb("commit"), std::vector<std::string>{"-p=false", "box"});
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_TRUE(got->off("--pause"));
  EXPECT_TRUE(parse_run({"-d=true", "--rm=false", "x"})->has("--detach"));
  EXPECT_FALSE(parse_run({"-d=true", "-d=0", "x"})->has("--detach"));
}

TEST(FlagsTest, OldNamesOfDockerAreUnderstood) {
  const auto got = parse_run({"--net=none", "--net-alias", "a", "--dns-opt", "ndots:2", "x"});
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(got->value("--network"), "none");
  EXPECT_EQ(got->value("--network-alias"), "a");
  EXPECT_EQ(got->value("--dns-option"), "ndots:2");
}

// docker's -h is --hostname; alone it asks for help.
TEST(FlagsTest, HIsTheHostNameOfARun) {
  EXPECT_EQ(parse_run({"-h", "web", "x"})->value("--hostname"), "web");
  EXPECT_TRUE(parse_run({"-h"})->has("--help"));
  EXPECT_TRUE(parse(*find_verb("ps"), std::vector<std::string>{"-a", "-h"})->has("--help"));
}

TEST(FlagsTest, ErrorsNameWhatIsWrongAndTheNearest) {
  const struct {
    std::vector<std::string> args;
    std::string message;
    std::string hint;
  } cases[] = {
      {{"--volme", "x"}, "kist run has no flag '--volme'", "did you mean `--volume`?"},
      {{"-Z"}, "kist run has no flag '-Z'", "`kist run --help` lists them"},
      {{"--root=yes", "x"}, "--root takes no value, got '--root=yes'", ""},
      {{"--from"}, "--from needs a value: FILE", ""},
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

TEST(FlagsTest, SwitchesMayBeSaidToBeOff) {
  const VerbSpec& verb = *find_verb("run");
  const std::vector<std::string> args = {"--root=true", "--init", "--init=false", "--rm=0", "--rm", "x"};
  const auto parsed = parse(verb, args);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->has("--root"));
  EXPECT_FALSE(parsed->has("--init"));
  EXPECT_TRUE(parsed->off("--init"));
  EXPECT_TRUE(parsed->has("--rm")) << "the last one counts";
  EXPECT_FALSE(parsed->off("--rm"));
}

TEST(VerbsTest, VerbsOfTwoWords) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(joined_words({"volume", "ls", "-q"}), (Words{"volume ls", "-q"}));
  EXPECT_EQ(joined_words({"volume", "remove", "x"}), (Words{"volume rm", "x"}));
  EXPECT_EQ(joined_words({"container", "ls", "-a"}), (Words{"ps", "-a"}));
  EXPECT_EQ(joined_words({"container", "run", "--image", "x"}), (Words{"run", "--image", "x"}));
  EXPECT_EQ(joined_words({"container", "inspect", "x"}), (Words{"inspect", "--type=container", "x"}));
  EXPECT_EQ(joined_words({"container", "prune"}), (Words{"container prune"}));
  EXPECT_EQ(joined_words({"volume", "nonsense"}), (Words{"volume", "nonsense"}));
  EXPECT_EQ(joined_words({"container", "lock"}), (Words{"container", "lock"})) << "no verb of containers";
  EXPECT_EQ(joined_words({"run", "ls"}), (Words{"run", "ls"}));
  EXPECT_TRUE(is_group("volume"));
  EXPECT_FALSE(is_group("run"));
  EXPECT_EQ(unknown_verb("volume").message().substr(0, 35), "kist volume wants one of: create, l");
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

#include "runtime_cli/arguments.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime_cli/command.h"

namespace kist::runtime_cli {
namespace {

constexpr Option kOptions[] = {{"bundle", "b", "FOLDER", ""}, {"force", "f", "", ""},
                               {"env", "e", "NAME=VALUE", ""}};
using Words = std::vector<std::string>;

TEST(ArgumentsTest, EveryWayToWriteAnOption) {
  for (const Words& args : {Words{"--bundle", "x", "id"}, Words{"--bundle=x", "id"},
                            Words{"-b", "x", "id"}, Words{"-bundle", "x", "id"},
                            Words{"id", "--bundle", "x"}}) {
    const auto got = parse(args, kOptions, false);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->text("bundle"), "x");
    EXPECT_EQ(got->words(), Words{"id"});
  }
}

TEST(ArgumentsTest, SwitchesAndRepetitions) {
  const auto got = parse(Words{"-f", "-e", "A=1", "--env=B=2"}, kOptions, false);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->has("force"));
  EXPECT_EQ(got->all("env"), (Words{"A=1", "B=2"}));
  EXPECT_FALSE(parse(Words{"--force=false"}, kOptions, false)->has("force"));
}

TEST(ArgumentsTest, ACommandKeepsItsOptions) {
  const auto got = parse(Words{"-e", "A=1", "id", "ls", "-f", "--", "-x"}, kOptions, true);
  ASSERT_TRUE(got);
  EXPECT_FALSE(got->has("force"));
  EXPECT_EQ(got->words(), (Words{"id", "ls", "-f", "--", "-x"}));
  EXPECT_EQ(parse(Words{"--", "-f"}, kOptions, false)->words(), Words{"-f"});
}

TEST(ArgumentsTest, Refusals) {
  const auto unknown = parse(Words{"--bundel", "x"}, kOptions, false);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message(), "flag provided but not defined: '--bundel'");
  EXPECT_EQ(unknown.error().hint_text(), "did you mean `--bundle`?");
  EXPECT_EQ(parse(Words{"--bundle"}, kOptions, false).error().message(),
            "flag needs an argument: '--bundle'");
  const auto number = parse(Words{"-b", "1x"}, kOptions, false);
  EXPECT_EQ(number->number("bundle").error().message(), "--bundle: want a number, got '1x'");
  EXPECT_EQ(parse(Words{"-b", "-1"}, kOptions, false)->number("bundle").value(), -1);
}

TEST(PrettyTest, IndentsButNotInsideTexts) {
  EXPECT_EQ(pretty(R"({"a":[1,{"b":"{,:\"}"}],"c":{},"d":[]})", "  "),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"{,:\\\"}\"\n    }\n  ],\n  \"c\": {},\n"
            "  \"d\": []\n}");
}

TEST(CommandsTest, ThoseOfRunc) {
  for (const char* name : {"create", "run", "start", "exec", "kill", "delete", "list", "ps", "state",
                           "pause", "resume", "update", "events", "spec", "features", "checkpoint",
                           "restore"})
    EXPECT_TRUE(std::any_of(commands().begin(), commands().end(),
                            [&](const Command& command) { return command.name == name; }))
        << name;
}

}  // namespace
}  // namespace kist::runtime_cli

#include "python/edit.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

const TomlList kDependencies{{"project"}, "dependencies", {"name", "version", "requires-python"}};
const TomlList kSystem{{"environment"}, "system"};

Requirement parsed(std::string_view text) { return parse_requirement(text).value(); }

IsItem named(std::string_view requirement) { return names_package(parsed(requirement).name); }

TEST(EditTest, AddsToRequirementsAndKeepsEverythingElse) {
  const struct {
    const char* why;
    std::string before, item, after;
  } cases[] = {
      {"empty", "", "polars", "polars\n"},
      {"at the end", "# ours\npandas\n", "polars>=1", "# ours\npandas\npolars>=1\n"},
      {"no last newline", "pandas", "polars", "pandas\npolars\n"},
      {"carriage returns", "pandas\r\n", "polars", "pandas\r\npolars\r\n"},
      {"no last carriage return", "pandas\r\nnumpy", "polars", "pandas\r\nnumpy\r\npolars\r\n"},
      {"a new version", "a\nPolars >=1 # fast\nb\n", "polars>=1.2", "a\npolars>=1.2 # fast\nb\n"},
      {"other spelling", "Scikit_Learn\n", "scikit-learn>=1", "scikit-learn>=1\n"},
      {"there already", "polars>=1 # fast\n", "polars", "polars>=1 # fast\n"},
      {"in a comment only", "# polars\n", "polars", "# polars\npolars\n"},
      {"indented", "  polars\n", "polars==1", "  polars==1\n"},
      {"with hashes over lines", "polars==1 \\\n    --hash=sha256:aa\nb\n", "polars==2",
       "polars==2\nb\n"},
      {"an option of that name", "-r polars\n", "polars", "-r polars\npolars\n"},
      {"byte order mark", "\xEF\xBB\xBFpolars\n", "polars==1", "\xEF\xBB\xBFpolars==1\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = add_to_requirements(c.before, parsed(c.item));
    ASSERT_TRUE(got.has_value()) << got.error().render();
    EXPECT_EQ(*got, c.after);
  }
}

TEST(EditTest, RefusesRequirementsThatItWouldSpoil) {
  const auto twice = add_to_requirements("x<1; python_version<'3'\nx>1\n", parsed("x==2"));
  ASSERT_FALSE(twice.has_value());
  EXPECT_EQ(twice.error().message(), "'x' stands there several times");
  const auto binary = add_to_requirements("\xFF\xFEx", parsed("x"));
  ASSERT_FALSE(binary.has_value());
  EXPECT_EQ(binary.error().message(), "the file is not UTF-8");
}

TEST(EditTest, RemovesFromRequirements) {
  const struct {
    const char* why;
    std::string before, name;
    std::optional<std::string> after;
  } cases[] = {
      {"in the middle", "a\nPandas>=2 # x\nb\n", "pandas", "a\nb\n"},
      {"not there", "a\n", "pandas", std::nullopt},
      {"in a comment only", "# pandas\n", "pandas", std::nullopt},
      {"with hashes over lines", "a\nx==1 \\\n --hash=sha256:aa \\\n --hash=sha256:bb\nb\n", "x",
       "a\nb\n"},
      {"all of them", "x<1; python_version<'3'\ny\nx>1", "x", "y\n"},
      {"by address", "x @ https://e.example/x.whl\ny\n", "x", "y\n"},
      {"editable", "-e git+https://e.example/x#egg=x\ny\n", "x", "y\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = remove_from_requirements(c.before, c.name);
    ASSERT_TRUE(got.has_value()) << got.error().render();
    EXPECT_EQ(*got, c.after);
  }
}

TEST(EditTest, RemovesFromAptFile) {
  EXPECT_EQ(remove_from_apt_file("# tools\nffmpeg # video\ngit\n", "ffmpeg"), "# tools\ngit\n");
  EXPECT_EQ(remove_from_apt_file("git\nffmpeg", "ffmpeg"), "git\n");
  EXPECT_EQ(remove_from_apt_file("# ffmpeg\n", "ffmpeg"), std::nullopt);
  EXPECT_EQ(remove_from_apt_file("", "ffmpeg"), std::nullopt);
}

TEST(EditTest, AddsToTomlLists) {
  const std::string head = "[project]\nname = \"x\"\n";
  const struct {
    const char* why;
    std::string before, item, after;
  } cases[] = {
      {"one line", head + "dependencies = [\"a\"]\n", "b",
       head + "dependencies = [\"a\", \"b\"]\n"},
      {"one line with comma", head + "dependencies = [\"a\",]\n", "b",
       head + "dependencies = [\"a\", \"b\",]\n"},
      {"empty", head + "dependencies = [ ]\n", "b", head + "dependencies = [\"b\"]\n"},
      {"several lines", head + "dependencies = [\n  'a[x]', # why\n]\n# end\n", "b>=1",
       head + "dependencies = [\n  'a[x]', # why\n  \"b>=1\",\n]\n# end\n"},
      {"no last comma", head + "dependencies = [\n  \"a\" # why\n]\n", "b",
       head + "dependencies = [\n  \"a\", # why\n  \"b\"\n]\n"},
      {"bracket on the last line", head + "dependencies = [\n  \"a\",\n  \"c\"]\n", "b",
       head + "dependencies = [\n  \"a\",\n  \"c\", \"b\"]\n"},
      {"a comment alone", head + "dependencies = [\n  # none yet\n]\n", "b",
       head + "dependencies = [\n  # none yet\n    \"b\",\n]\n"},
      {"brackets and quotes in comments", head + "dependencies = [ # ] \"\n  \"a\", # ]\n]\n", "b",
       head + "dependencies = [ # ] \"\n  \"a\", # ]\n  \"b\",\n]\n"},
      {"in place", head + "dependencies = [\"A.B<1\", \"c\"]\n", "a-b>=1",
       head + "dependencies = [\"a-b>=1\", \"c\"]\n"},
      {"no list", head + "description = \"é\"\n\n[tool.x]\ny = 1\n", "b",
       head + "dependencies = [\"b\"]\ndescription = \"é\"\n\n[tool.x]\ny = 1\n"},
      {"no table", "# mine\n", "b", "# mine\n\n[project]\ndependencies = [\"b\"]\n"},
      {"nothing", "", "b", "[project]\ndependencies = [\"b\"]\n"},
      {"carriage returns", "[project]\r\ndependencies = [\r\n  \"a\",\r\n]\r\n", "b",
       "[project]\r\ndependencies = [\r\n  \"a\",\r\n  \"b\",\r\n]\r\n"},
      {"a header in a string", "x = \"\"\"\n[project]\n\"\"\"\n[project]\nname = \"é\"\n", "b",
       "x = \"\"\"\n[project]\n\"\"\"\n[project]\nname = \"é\"\ndependencies = [\"b\"]\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got =
        add_to_toml_list(c.before, "pyproject.toml", kDependencies, c.item, named(c.item));
    ASSERT_TRUE(got.has_value()) << got.error().render();
    EXPECT_EQ(*got, c.after);
  }
}

TEST(EditTest, RemovesFromTomlLists) {
  const struct {
    const char* why;
    std::string before, item;
    std::optional<std::string> after;
  } cases[] = {
      {"first", "dependencies = [\"a\", \"b\"]", "a", "dependencies = [\"b\"]"},
      {"last", "dependencies = [\"a\", \"b\"]", "b", "dependencies = [\"a\"]"},
      {"last with comma", "dependencies = [\"a\", \"b\",]", "b", "dependencies = [\"a\", ]"},
      {"only", "dependencies = [\"b>=1\"]", "b", "dependencies = []"},
      {"a line", "dependencies = [\n  \"a\", # 1\n  \"b\", # 2\n  \"c\", # 3\n]", "b",
       "dependencies = [\n  \"a\", # 1\n  \"c\", # 3\n]"},
      {"the last line", "dependencies = [\n  \"a\", # 1\n  \"b\"\n]", "b",
       "dependencies = [\n  \"a\", # 1\n]"},
      {"before the bracket", "dependencies = [\n  \"a\", # 1\n  \"b\"]", "b",
       "dependencies = [\n  \"a\", # 1\n  ]"},
      {"both", "dependencies = [\"b<1; os_name=='nt'\", \"a\", \"b>1\"]", "b",
       "dependencies = [\"a\"]"},
      {"not there", "dependencies = [\"a\"]", "b", std::nullopt},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = remove_from_toml_list("[project]\n" + c.before + "\n", "pyproject.toml",
                                           kDependencies, named(c.item));
    ASSERT_TRUE(got.has_value()) << got.error().render();
    ASSERT_EQ(got->has_value(), c.after.has_value());
    if (*got) {
      EXPECT_EQ(**got, "[project]\n" + *c.after + "\n");
    }
  }
}

// What cannot be edited in place is left to the person, with the words to write.
TEST(EditTest, RefusesTomlThatItWouldSpoil) {
  const IsItem is_git = [](std::string_view item) { return item == "git"; };
  const struct {
    const char* why;
    std::string before;
    Code code;
    std::string message;
  } cases[] = {
      {"inline table", "environment = { python = \"3.11\" }\n", Code::unsupported,
       "kist.toml: [environment] system is not written in a way that kist edits"},
      {"dotted keys", "environment.python = \"3.11\"\n", Code::unsupported,
       "kist.toml: [environment] system is not written in a way that kist edits"},
      {"not a list", "[environment]\nsystem = \"git\"\n", Code::invalid,
       "kist.toml:2:10: 'system' is a string, want a list"},
      {"not strings", "[environment]\nsystem = [1]\n", Code::invalid,
       "kist.toml:2:11: an item of 'system' is an integer, want a string"},
      {"not a table", "environment = 1\n", Code::invalid,
       "kist.toml:1:15: 'environment' is an integer, want a table"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = add_to_toml_list(c.before, "kist.toml", kSystem, "git", is_git);
    ASSERT_FALSE(got.has_value()) << *got;
    EXPECT_EQ(got.error().code(), c.code);
    EXPECT_EQ(got.error().message(), c.message);
  }
}

}  // namespace
}  // namespace kist::python

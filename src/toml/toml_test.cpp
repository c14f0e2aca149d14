#include "toml/toml.h"

#include <gtest/gtest.h>

namespace kist::toml {
namespace {

TEST(TomlTest, KeepsOrderAndPositions) {
  const Value root = parse("z = 1\na = \"x\"\n[t]\nm = 2024-01-02T03:04:05Z\n", "f").value();
  const auto& entries = root.as<Table>()->entries();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].first, "z");
  EXPECT_EQ(entries[1].first, "a");
  EXPECT_EQ(entries[1].second.position().line, 2u);
  EXPECT_EQ(entries[1].second.position().column, 5u);
}

TEST(TomlTest, WritesOnOneLine) {
  const char* const cases[] = {
      R"({ a = 1, "b c" = [true, 1.5, 2.0, "x\"\\\n\t\u0001é"] })",
      R"({ d = 2024-01-02T03:04:05Z, e = 2024-01-02, f = 03:04:05.25, g = 2024-01-02T03:04:05+05:30 })",
      R"({ n = {}, l = [], s = "" })",
  };
  for (const char* text : cases) {
    SCOPED_TRACE(text);
    const auto root = parse("v = " + std::string(text), "f");
    ASSERT_TRUE(root.has_value()) << root.error().render();
    EXPECT_EQ(one_line(*root->as<Table>()->find("v")), text);
  }
  EXPECT_EQ(one_line(std::vector<std::string>{"a", "b\""}), R"(["a", "b\""])");
  EXPECT_EQ(quoted("\x7f"), "\"\\u007F\"");
}

TEST(TomlTest, RefusesHostileInput) {
  const auto repeat = [](std::string_view text, size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += text;
    return out;
  };
  const struct {
    const char* why;
    std::string text;
    std::string message;
  } cases[] = {
      {"dotted key", fmt::format("a.b{} = 1", repeat(".a", 1000000)),
       "f:1:66: a key with more than 32 parts"},
      {"table header", fmt::format("[{}a]", repeat("a.", 1000000)),
       "f:1:67: a key with more than 32 parts"},
      {"arrays", fmt::format("a = {}", repeat("[", 1000000)), "f:1:69: nested more than 64 deep"},
      {"inline tables", repeat("a = {", 40) + repeat("}", 40), "f:1:165: nested more than 32 deep"},
      {"tables one by one", fmt::format("[{}a]\n{}b = 1", repeat("a.", 30), repeat("b.", 30)),
       "f:2:3: nested more than 32 deep"},
      {"not UTF-8", "a = \"\xff\"", ""},
      {"NUL", std::string("a = \"\0\"", 7), "f:1:6: not valid TOML: the control character \\x00"},
      {"a letter with an accent", "\xc3\xa9 = 1", "f:1:1: not valid TOML: root table: expected keys, tables, whitespace or comments, saw '\xc3\xa9'"},
      {"an open header", "[\n", "f:1:2: not valid TOML: key: expected bare key starting character or string delimiter, saw '\\n'"},
      {"NUL as a key", std::string("[\0\0", 3), "f:1:2: not valid TOML: the control character \\x00"},
      {"same key twice", "a = 1\na = 2", ""},
      {"cut", "a = \"", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = parse(c.text, "f");
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), Code::invalid);
    if (!c.message.empty()) {
      EXPECT_EQ(got.error().message(), c.message);
    }
  }
  EXPECT_EQ(parse("aaaa", "f", {.bytes = 3}).error().message(),
            "f: 4 B is more than the 3 B that a TOML file may have");
  EXPECT_EQ(parse("a = [1, 2, 3]", "f", {.values = 3}).error().message(),
            "f:1:9: more than 3 values");
  // Dots and quotes inside of strings and comments are no keys.
  EXPECT_TRUE(
      parse(fmt::format("a = '{0}' # {0}'\nb = \"\"\"\n\\\"{0}\"\"\"\n", repeat(".", 100)), "f")
          .has_value());
}

TEST(TomlTest, FieldsSayWhatIsWrong) {
  const Value root = parse("s = 1\ni = \"x\"\nb = 1\nl = [\"a\", 1]\nt = []\nn = 7\n", "f").value();
  Fields fields = Fields::of(root, "f", "sec").value();
  EXPECT_EQ(fields.string("s").error().message(), "f:1:5: 'sec.s' is an integer, want a string");
  EXPECT_EQ(fields.string("x").error().message(), "f:1:1: 'sec.x' is missing");
  EXPECT_EQ(fields.optional_integer("i").error().message(),
            "f:2:5: 'sec.i' is a string, want an integer");
  EXPECT_EQ(fields.optional_boolean("b").error().message(),
            "f:3:5: 'sec.b' is an integer, want true or false");
  EXPECT_EQ(fields.optional_strings("l").error().message(),
            "f:4:11: 'sec.l' has an integer, want strings only");
  EXPECT_EQ(fields.optional_table("t").error().message(),
            "f:5:5: 'sec.t' is an array, want a table");
  EXPECT_FALSE(fields.optional_strings("name").value().size());
  const Result<void> others = fields.no_others();
  ASSERT_FALSE(others.has_value());
  EXPECT_EQ(others.error().message(), "f:6:5: unknown key 'sec.n'");
  EXPECT_EQ(others.error().hint_text(), "write `s`");
}

}  // namespace
}  // namespace kist::toml

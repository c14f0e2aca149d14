#include "debian/alternatives.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "store/memory_sink.h"

namespace kist::debian {
namespace {

std::vector<std::optional<std::string>> words(std::string_view text) {
  std::vector<std::optional<std::string>> out;
  for (const std::string_view word : split(text, ' '))
    out.push_back(word == "?" ? std::nullopt : std::optional(std::string(word)));
  return out;
}

TEST(AlternativesTest, ParsesInstallWithSlaves) {
  const auto parsed = parse_alternative(
      words("update-alternatives --quiet --install /usr/bin/awk awk /usr/bin/mawk 5 "
            "--slave /usr/bin/nawk nawk /usr/bin/mawk"));
  ASSERT_TRUE(parsed.has_value() && parsed->has_value());
  EXPECT_EQ((*parsed)->master.name, "awk");
  EXPECT_EQ((*parsed)->master.link, "/usr/bin/awk");
  EXPECT_EQ((*parsed)->master.target, "/usr/bin/mawk");
  EXPECT_EQ((*parsed)->priority, 5);
  ASSERT_EQ((*parsed)->slaves.size(), 1u);
  EXPECT_EQ((*parsed)->slaves[0].name, "nawk");
}

TEST(AlternativesTest, OtherActionsAreNothingAndUnknownWordsAreErrors) {
  EXPECT_FALSE(parse_alternative(words("update-alternatives --remove awk /x"))->has_value());
  EXPECT_FALSE(parse_alternative(words("update-alternatives --auto awk"))->has_value());
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"update-alternatives --install /a a ? 5", "update-alternatives has a word that is not known"},
      {"update-alternatives --install a a /b 5",
       "update-alternatives has 'a' where a path or name belongs"},
      {"update-alternatives --install /a ../a /b 5",
       "update-alternatives has '/a' where a path or name belongs"},
      {"update-alternatives --install /a a /b ?", "update-alternatives of 'a' has no priority"},
      {"update-alternatives --install /a a /b 5 ?",
       "update-alternatives of 'a' has a word that is not known"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto parsed = parse_alternative(words(c.text));
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().message(), c.message);
  }
}

TEST(AlternativesTest, HighestPriorityWinsAndTheRecordIsDpkgs) {
  store::MemorySink sink;
  store::TreeBuilder packages(sink);
  for (const char* path : {"usr/bin/mawk", "usr/bin/gawk", "usr/share/man/man1/gawk.1.gz"})
    ASSERT_TRUE(packages.file(path, 0755, path).has_value());
  packages.symlink("bin", "usr/bin");
  const store::Tree tree = std::move(packages).finish().value();
  const ContentReader reader = [&](const store::Entry& entry) -> Result<std::string> {
    return *sink.content(*entry.object);
  };
  const RootView root(tree, reader);
  const std::vector<Alternative> all = {
      {{"awk", "/usr/bin/awk", "/usr/bin/mawk"}, 5, {{"nawk", "/bin/nawk", "/usr/bin/mawk"}}},
      {{"awk", "/usr/bin/awk", "/usr/bin/gawk"},
       10,
       {{"awk.1.gz", "/usr/share/man/man1/awk.1.gz", "/usr/share/man/man1/gawk.1.gz"},
        {"nawk", "/bin/nawk", "/usr/bin/gawk"}}},
      {{"awk", "/usr/bin/awk", "/usr/bin/not-there"}, 99, {}},
  };
  store::TreeBuilder builder(sink);
  ASSERT_TRUE(add_alternatives(all, root, builder).has_value());
  const store::Tree out = std::move(builder).finish().value();
  EXPECT_EQ(out.find("usr/bin/awk")->target, "/etc/alternatives/awk");
  EXPECT_EQ(out.find("etc/alternatives/awk")->target, "/usr/bin/gawk");
  EXPECT_EQ(out.find("usr/bin/nawk")->target, "/etc/alternatives/nawk") << "through the merged /usr";
  EXPECT_EQ(out.find("etc/alternatives/awk.1.gz")->target, "/usr/share/man/man1/gawk.1.gz");
  EXPECT_EQ(*sink.content(*out.find("var/lib/dpkg/alternatives/awk")->object),
            "auto\n/usr/bin/awk\nawk.1.gz\n/usr/share/man/man1/awk.1.gz\nnawk\n/bin/nawk\n\n"
            "/usr/bin/gawk\n10\n/usr/share/man/man1/gawk.1.gz\n/usr/bin/gawk\n"
            "/usr/bin/mawk\n5\n\n/usr/bin/mawk\n\n");
}

}  // namespace
}  // namespace kist::debian

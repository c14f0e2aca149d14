// What [tool.kist] says of builds. The rest of locks is tested in pylock_test.cpp.
#include <gtest/gtest.h>

#include "python/pylock.h"

namespace kist::python {
namespace {

const std::string kHash(64, 'a');

std::string lock_with(const std::string& lines) {
  return "lock-version = \"1.0\"\ncreated-by = \"kist\"\npackages = []\n\n[tool.kist]\nversion = 1\n"
         "recipe = 1\nenvironment = \"default\"\nplatform = \"linux/amd64\"\npython = \"3.11\"\n"
         "base = \"debian:bookworm\"\ninputs = \"sha256:x\"\n" + lines;
}

TEST(PylockBuildTest, WritesAndReadsTheSame) {
  const std::string lines = fmt::format(
      "builds = [\n    \"docopt\",\n    \"pure\",\n]\n"
      "build-requirements = [\n"
      "    {{ package = \"docopt\", name = \"setuptools\", version = \"80.9.0\", sha256 = \"{0}\" }},\n]\n"
      "build-debian = [\n"
      "    {{ name = \"gcc\", version = \"4:12.2.0-3\", architecture = \"amd64\", suite = \"bookworm\", "
      "component = \"main\", path = \"pool/main/g/gcc.deb\", size = 1, sha256 = \"{0}\" }},\n]\n", kHash);
  std::vector<std::string> warnings;
  const auto lock = parse_lock(lock_with(lines), "lock", warnings);
  ASSERT_TRUE(lock.has_value()) << lock.error().render();
  EXPECT_EQ(lock->kist->builds, (std::vector<std::string>{"docopt", "pure"}));
  ASSERT_EQ(lock->kist->build_requirements.size(), 1u);
  EXPECT_EQ(lock->kist->build_requirements[0].name, "setuptools");
  ASSERT_EQ(lock->kist->build_debian.size(), 1u);
  const std::string text = write_lock(*lock);
  EXPECT_NE(text.find(lines), std::string::npos) << text;
  const auto again = parse_lock(text, "lock", warnings);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, *lock);
}

// They become lines of a requirements file: a lock that a stranger wrote must not add options to it.
TEST(PylockBuildTest, RefusesWithPreciseMessage) {
  struct Case {
    std::string line, message;
  };
  const std::string hash = ", sha256 = \"" + kHash + "\" }";
  const Case cases[] = {
      {"{ package = \"a\", name = \"b --index-url x\", version = \"1\"" + hash,
       "'tool.kist.build-requirements[0].name' is 'b --index-url x', want a package's name"},
      {"{ package = \"../a\", name = \"b\", version = \"1\"" + hash,
       "'tool.kist.build-requirements[0].package' is '../a', want a package's name"},
      {"{ package = \"a\", name = \"b\", version = \"1 --hash=x\"" + hash,
       "'tool.kist.build-requirements[0].version' is '1 --hash=x', want a version"},
      {"{ package = \"a\", name = \"b\", version = \"1\" }", "sha256"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> warnings;
    const auto lock = parse_lock(lock_with("build-requirements = [" + c.line + "]\n"), "lock", warnings);
    ASSERT_FALSE(lock.has_value()) << c.line;
    EXPECT_NE(lock.error().message().find(c.message), std::string::npos) << lock.error().message();
  }
}

}  // namespace
}  // namespace kist::python

#include "python/versions.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

// The order that PEP 440 gives in "Summary of permitted suffixes and relative ordering", extended.
TEST(VersionTest, OrdersAsThePepDoes) {
  const char* const ordered[] = {
      "0.9",       "1.0.dev1",  "1.0.dev2",      "1.0a1.dev1", "1.0a1",          "1.0a1.post1",
      "1.0a2",     "1.0b1",     "1.0rc1.dev456", "1.0rc1",     "1.0rc2",         "1.0",
      "1.0+abc.5", "1.0+abc.7", "1.0+5",         "1.0+5.1",    "1.0.post1.dev2", "1.0.post1",
      "1.0.1",     "1.1.dev1",  "1.1",           "1.10",       "2026.6",         "1!0.1"};
  for (size_t i = 0; i < std::size(ordered); ++i) {
    const Version a = Version::parse(ordered[i]).value();
    for (size_t j = 0; j < std::size(ordered); ++j) {
      SCOPED_TRACE(fmt::format("{} <=> {}", ordered[i], ordered[j]));
      const Version b = Version::parse(ordered[j]).value();
      EXPECT_EQ(a <=> b, i <=> j);
    }
  }
}

TEST(VersionTest, NormalizesEverySpelling) {
  const struct {
    const char* text;
    const char* normal;
  } cases[] = {{"v1.0", "1.0"},
               {" 1.0 ", "1.0"},
               {"1.0-ALPHA.1", "1.0a1"},
               {"1.0_beta", "1.0b0"},
               {"1.0c3", "1.0rc3"},
               {"1.0.pre2", "1.0rc2"},
               {"1.0preview", "1.0rc0"},
               {"1.0-1", "1.0.post1"},
               {"1.0-r4", "1.0.post4"},
               {"1.0.rev", "1.0.post0"},
               {"1.0dev", "1.0.dev0"},
               {"01.002", "1.2"},
               {"1!2", "1!2"},
               {"1+UBUNTU_1-2", "1+ubuntu.1.2"},
               {"2.1.0+cu121", "2.1.0+cu121"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto version = Version::parse(c.text);
    ASSERT_TRUE(version.has_value());
    EXPECT_EQ(version->string(), c.normal);
    EXPECT_EQ(Version::parse(c.normal)->string(), c.normal);
  }
  EXPECT_EQ(Version::parse("1.0").value(), Version::parse("1.0.0").value());
}

TEST(VersionTest, RefusesWhatIsNone) {
  for (const char* text : {"", "1.", ".1", "a", "1.0x", "1..0", "1.0+", "1.0+a..b", "1.0 0", "1!",
                           "99999999999999999999", "1.0.post-", "1.0a1b1", "1.0+\xc3\xa4"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(Version::parse(text).has_value());
  }
  EXPECT_FALSE(Version::parse(std::string(2000, '1')).has_value());
  EXPECT_EQ(Version::parse("1.0x\n").error().message(), "'1.0x\\x0a' is not a version (PEP 440)");
}

TEST(VersionTest, Specifiers) {
  const struct {
    const char* specifier;
    const char* version;
    bool contained;
  } cases[] = {
      {"", "1.0", true},
      {">=1.0", "1.0", true},
      {">=1.0", "1.0+local", true},
      {">=1.0", "1.0rc1", false},
      {"<=1.0", "1.0+local", true},
      {">1.0", "1.0+local", false},
      {">1.0", "1.0.post1", false},
      {">1.0.post0", "1.0.post1", true},
      {">1.0", "1.1", true},
      {"<1.0", "1.0rc1", false},
      {"<1.0", "0.9rc1", true},
      {"<1.0rc2", "1.0rc1", true},
      {"==1.0", "1.0.0", true},
      {"==1.0", "1.0+cu", true},
      {"==1.0+cu", "1.0", false},
      {"==1.0+cu", "1.0+cu", true},
      {"!=1.0", "1.0+cu", false},
      {"==1.*", "1.99", true},
      {"==1.1.*", "1.10", false},
      {"==1.0.*", "1", true},
      {"!=1.1.*", "1.1.5", false},
      {"~=2.2", "2.99", true},
      {"~=2.2", "3.0", false},
      {"~=2.2.0", "2.3", false},
      {"~=2.2.post3", "2.2", false},
      {"~=1!2.2", "2.3", false},
      {"===1.0", "1.0", true},
      {"===1.0", "1.0.0", false},
      {">=3.8, <4, !=3.9.7", "3.11.2", true},
      {">=3.8,<4,!=3.9.7", "3.9.7", false},
      {">=1,", "2", true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(fmt::format("{} in {}", c.version, c.specifier));
    const auto specifiers = VersionSpecifiers::parse(c.specifier);
    ASSERT_TRUE(specifiers.has_value());
    EXPECT_EQ(specifiers->contains(Version::parse(c.version).value()), c.contained);
  }
}

TEST(VersionTest, RefusesBadSpecifiers) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"1.0", "'1.0' is not a version specifier (PEP 440)"},
      {"=1.0", "'=1.0' is not a version specifier (PEP 440)"},
      {"~=1", "'~=1' is not a version specifier (PEP 440)"},
      {">=1.*", "'>=1.*' is not a version specifier (PEP 440)"},
      {"==1+a.*", "'==1+a.*' is not a version specifier (PEP 440)"},
      {"===", "'===' is not a version specifier (PEP 440)"},
      {">=", "in version specifier '>='"},
      {">= x", "in version specifier '>= x'"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto got = VersionSpecifiers::parse(c.text);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
  }
}

TEST(VersionTest, KnowsAPin) {
  EXPECT_TRUE(VersionSpecifiers::parse("==1.0")->is_pin());
  EXPECT_TRUE(VersionSpecifiers::parse("===1.0")->is_pin());
  EXPECT_FALSE(VersionSpecifiers::parse("==1.*")->is_pin());
  EXPECT_FALSE(VersionSpecifiers::parse(">=1,==1")->is_pin());
  EXPECT_FALSE(VersionSpecifiers::parse("")->is_pin());
}

}  // namespace
}  // namespace kist::python

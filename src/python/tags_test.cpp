#include "python/tags.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

Target target(std::string_view platform, std::string_view python, uint32_t glibc_minor) {
  return make_target(platform, python, glibc_minor).value();
}

TEST(TagsTest, TakesWheelNamesApart) {
  const WheelName name =
      parse_wheel_name("A_b.c-1.0+cu1-2b-py2.py3-none-manylinux1_x86_64.any.whl").value();
  EXPECT_EQ(name.distribution, "A_b.c");
  EXPECT_EQ(name.version, "1.0+cu1");
  EXPECT_EQ(name.build, "2b");
  EXPECT_EQ(name.pythons, (std::vector<std::string>{"py2", "py3"}));
  EXPECT_EQ(name.abis, (std::vector<std::string>{"none"}));
  EXPECT_EQ(name.platforms, (std::vector<std::string>{"manylinux1_x86_64", "any"}));
  const struct {
    std::string name;
    std::string message;
  } cases[] = {
      {"a.zip", "'a.zip' is not a wheel's name: it does not end with '.whl'"},
      {"a-1.whl", "'a-1.whl' is not a wheel's name: it has 2 parts between '-', want 5 or 6"},
      {"a-1-x-py3-none-any.whl",
       "'a-1-x-py3-none-any.whl' is not a wheel's name: its build tag starts with no digit"},
      {"a--py3-none-any.whl",
       "'a--py3-none-any.whl' is not a wheel's name: a part is empty or has a '/'"},
      {"../a-1-py3-none-any.whl",
       "'../a-1-py3-none-any.whl' is not a wheel's name: a part is empty or has a '/'"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(parse_wheel_name(c.name).error().message(), c.message);
  }
  EXPECT_FALSE(parse_wheel_name(std::string(300, 'a') + "-1-py3-none-any.whl").has_value());
}

TEST(TagsTest, KnowsWhatATargetTakes) {
  const struct {
    const char* tags;
    bool bookworm, trixie, arm;  // 3.11 amd64 2.36, 3.13 amd64 2.41, 3.11 arm64 2.36
  } cases[] = {
      {"py3-none-any", true, true, true},
      {"py2.py3-none-any", true, true, true},
      {"py2-none-any", false, false, false},
      {"py311-none-any", true, true, true},
      {"py312-none-any", false, true, false},
      {"cp311-none-any", true, false, true},
      {"cp311-cp311-manylinux_2_17_x86_64", true, false, false},
      {"cp311-cp311-manylinux2014_x86_64", true, false, false},
      {"cp311-cp311-manylinux2014_aarch64", false, false, true},
      {"cp311-cp311-manylinux1_x86_64", true, false, false},
      {"cp311-cp311-linux_x86_64", true, false, false},
      {"cp311-cp311-musllinux_1_1_x86_64", false, false, false},
      {"cp311-cp311-manylinux_2_36_x86_64", true, false, false},
      {"cp311-cp311-manylinux_2_37_x86_64", false, false, false},
      {"cp313-cp313-manylinux_2_41_x86_64", false, true, false},
      {"cp313-cp313t-manylinux_2_17_x86_64", false, false, false},
      {"cp37-abi3-manylinux_2_17_x86_64", true, true, false},
      {"cp32-abi3-manylinux_2_17_x86_64", true, true, false},
      {"cp312-abi3-manylinux_2_17_x86_64", false, true, false},
      {"cp37-cp37m-manylinux1_x86_64", false, false, false},
      {"py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64", true, true, false},
      {"py3-none-manylinux_2_28_aarch64", false, false, true},
      {"cp311-cp311-win_amd64", false, false, false},
      {"cp311-cp311-macosx_11_0_arm64", false, false, false},
      {"cp311-cp311-manylinux_2_4_x86_64", false, false, false},
  };
  const Tags bookworm(target("linux/amd64", "3.11", 36));
  const Tags trixie(target("linux/amd64", "3.13", 41));
  const Tags arm(target("linux/arm64", "3.11", 36));
  for (const auto& c : cases) {
    SCOPED_TRACE(c.tags);
    const WheelName name = parse_wheel_name(fmt::format("a-1-{}.whl", c.tags)).value();
    EXPECT_EQ(bookworm.rank(name).has_value(), c.bookworm);
    EXPECT_EQ(trixie.rank(name).has_value(), c.trixie);
    EXPECT_EQ(arm.rank(name).has_value(), c.arm);
  }
}

// Each wheel is better than all that follow it.
TEST(TagsTest, PrefersTheMostSpecific) {
  const std::vector<std::string> ordered = {
      "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
      "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
      "a-1-cp311-cp311-manylinux2010_x86_64.whl",
      "a-1-cp311-cp311-linux_x86_64.whl",
      "a-1-cp311-abi3-manylinux_2_28_x86_64.whl",
      "a-1-cp39-abi3-manylinux_2_28_x86_64.whl",
      "a-1-cp37-abi3-manylinux_2_28_x86_64.whl",
      "a-1-py3-none-manylinux_2_28_x86_64.whl",
      "a-1-3-py3-none-any.whl",
      "a-1-2b-py3-none-any.whl",
      "a-1-2-py3-none-any.whl",
      "a-1-py3-none-any.whl",
  };
  const Tags tags(target("linux/amd64", "3.11", 36));
  for (size_t i = 0; i < ordered.size(); ++i) {
    SCOPED_TRACE(ordered[i]);
    std::vector<std::string> rest(ordered.rbegin(), ordered.rend() - static_cast<long>(i));
    EXPECT_EQ(best_wheel(tags, rest), rest.size() - 1);
  }
  EXPECT_EQ(best_wheel(tags, {"a.tar.gz", "a-1-cp27-none-any.whl"}), std::nullopt);
}

TEST(TagsTest, ATargetWithMusl) {
  Target alpine = target("linux/amd64", "3.12", 36);
  ASSERT_TRUE(set_libc("musl 1.2", alpine).has_value());
  EXPECT_EQ(alpine.describe(), "Python 3.12 on linux/amd64 (musl 1.2)");
  const Tags tags(alpine);
  const auto takes = [&](const char* wheel) { return tags.rank(*parse_wheel_name(wheel)).has_value(); };
  EXPECT_TRUE(takes("a-1-cp312-cp312-musllinux_1_2_x86_64.whl"));
  EXPECT_TRUE(takes("a-1-cp312-cp312-musllinux_1_1_x86_64.whl"));
  EXPECT_TRUE(takes("a-1-cp38-abi3-linux_x86_64.whl"));
  EXPECT_TRUE(takes("a-1-py3-none-any.whl"));
  EXPECT_FALSE(takes("a-1-cp312-cp312-musllinux_1_3_x86_64.whl"));
  EXPECT_FALSE(takes("a-1-cp312-cp312-musllinux_1_2_aarch64.whl"));
  EXPECT_FALSE(takes("a-1-cp312-cp312-manylinux_2_17_x86_64.whl"));
  EXPECT_LT(tags.rank(*parse_wheel_name("a-1-cp312-cp312-musllinux_1_2_x86_64.whl")),
            tags.rank(*parse_wheel_name("a-1-cp312-cp312-musllinux_1_1_x86_64.whl")));
}

TEST(TagsTest, LibrariesByName) {
  for (const char* good : {"glibc 2.17", "glibc 2.41", "musl 1.1", "musl 1.2"}) {
    Target made;
    ASSERT_TRUE(set_libc(good, made).has_value()) << good;
    EXPECT_EQ(made.libc(), good);
  }
  for (const char* bad : {"", "glibc", "glibc 2.", "glibc 2.x", "glibc 3.1", "glibc 2.0", "musl 2.1", "musl 1.100",
                          "glibc 2.36 "}) {
    Target made;
    EXPECT_FALSE(set_libc(bad, made).has_value()) << bad;
  }
}

TEST(TagsTest, RefusesTargets) {
  const struct {
    const char* platform;
    const char* python;
    const char* message;
  } cases[] = {
      {"windows/amd64", "3.11",
       "platform 'windows/amd64' is not supported, only linux/amd64 and linux/arm64"},
      {"linux/amd64", "2.7", "Python 2.7 is not supported, only 3.8 and later"},
      {"linux/amd64", "3.7", "Python 3.7 is not supported, only 3.8 and later"},
      {"linux/amd64", "3", "Python version '3' has 1 parts, want 2 or 3, as in '3.11'"},
      {"linux/amd64", "three", "Python version"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.python);
    const auto got = make_target(c.platform, c.python, 36);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
  }
  EXPECT_EQ(target("linux/arm64", "3.13", 41).describe(),
            "Python 3.13 on linux/arm64 (glibc 2.41)");
  EXPECT_EQ(glibc_minor_of_suite("trixie"), 41u);
  EXPECT_FALSE(glibc_minor_of_suite("sid").has_value());
}

}  // namespace
}  // namespace kist::python

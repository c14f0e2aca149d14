#include "python/markers.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

MarkerEnvironment environment() {
  MarkerEnvironment out;
  out.target = make_target("linux/amd64", "3.11.2", 36).value();
  out.extras = {"socks", "my-extra"};
  out.dependency_groups = {"dev"};
  return out;
}

TEST(MarkerTest, Evaluates) {
  const struct {
    const char* marker;
    bool holds;
  } cases[] = {
      {"", true},
      {"python_version >= '3.9'", true},
      {"python_version < \"3.11\"", false},
      {"python_version == '3.11'", true},
      {"python_version == '3.*'", true},
      {"python_version != '3.9.*'", true},
      {"python_version ~= '3.8'", true},
      {"python_version > '3.9'", true},  // As versions, not as text.
      {"python_version in '3.10 3.11'", true},
      {"python_version not in '3.10, 3.11'", false},
      {"python_full_version < '3.11.2'", false},
      {"python_full_version >= '3.11.2'", true},
      {"'3.9' <= python_version", true},
      {"'3.12' > python_version", true},
      {"sys_platform == 'linux'", true},
      {"sys_platform == 'win32' or os_name == 'posix' and platform_system != 'Windows'", true},
      {"(sys_platform == 'win32' or os_name == 'posix') and platform_system == 'Darwin'", false},
      {"platform_machine == 'x86_64'", true},
      {"platform_machine == 'x86_64' and platform_python_implementation == 'PyPy'", false},
      {"implementation_name == 'cpython'", true},
      {"'linux' in sys_platform", true},
      {"'win' not in sys_platform", true},
      {"sys_platform in 'linux linux2'", true},
      {"os.name == 'posix' and python_implementation == 'CPython'", true},
      {"platform_release >= '4'", false},
      {"platform_version == ''", true},
      {"extra == 'socks'", true},
      {"extra == 'My_Extra'", true},
      {"extra != 'socks'", false},
      {"extra == 'other'", false},
      {"'socks' in extras", true},
      {"'socks' not in extras", false},
      {"'dev' in dependency_groups", true},
      {"'docs' in dependency_groups", false},
      {"sys_platform<'zzz'", true},
      {"((((python_version>='3'))))", true},
  };
  const MarkerEnvironment where = environment();
  for (const auto& c : cases) {
    SCOPED_TRACE(c.marker);
    const auto marker = Marker::parse(c.marker);
    ASSERT_TRUE(marker.has_value()) << marker.error().render();
    EXPECT_EQ(marker->evaluate(where), c.holds);
  }
}

TEST(MarkerTest, RefusesWithPreciseMessage) {
  const struct {
    const char* marker;
    const char* message;
  } cases[] = {
      {"python_version",
       "marker 'python_version' has the end at offset 14, want a comparison such "
       "as '=='"},
      {"pyton_version > '3'",
       "marker 'pyton_version > '3'' has 'pyton_version > ' at offset 0, want a variable such as "
       "python_version, or a quoted text"},
      {"os_name == 'a' extra",
       "marker 'os_name == 'a' extra' has 'extra' at offset 15, want 'and', "
       "'or' or the end"},
      {"os_name == 'a", "marker 'os_name == 'a' has ''a' at offset 11, want a text that ends"},
      {"(os_name == 'a'", "marker '(os_name == 'a'' has the end at offset 15, want ')'"},
      {"os_name not 'a'",
       "marker 'os_name not 'a'' has ''a'' at offset 12, want 'in' after 'not'"},
      {"'a' == 'b'", "marker ''a' == 'b'' compares two texts, want a variable and a text"},
      {"os_name == os_name",
       "marker 'os_name == os_name' compares two variables, want a variable and a text"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.marker);
    const auto got = Marker::parse(c.marker);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().message(), c.message);
  }
}

TEST(MarkerTest, BoundsHostileInput) {
  const std::string deep = std::string(100000, '(') + "os_name == 'a'";
  EXPECT_EQ(Marker::parse(deep).error().message(), "a marker is nested more than 64 deep");
  EXPECT_EQ(Marker::parse(std::string(1 << 20, 'a')).error().message(), "a marker of 1.0 MB");
  std::string wide = "os_name == 'a'";
  while (wide.size() < 200000) wide += " or os_name == 'a'";
  EXPECT_FALSE(Marker::parse(wide)->evaluate(environment()));
}

TEST(MarkerTest, KnowsItsVariables) {
  const Marker marker = Marker::parse("os_name == 'posix' and 'x' == extra").value();
  EXPECT_TRUE(marker.mentions("extra"));
  EXPECT_FALSE(marker.mentions("sys_platform"));
  EXPECT_TRUE(Marker::parse(" ")->is_always());
}

}  // namespace
}  // namespace kist::python

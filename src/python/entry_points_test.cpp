#include "python/entry_points.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

TEST(EntryPointsTest, ReadsBothGroupsSortedByName) {
  const auto scripts = parse_entry_points(
      "# a comment\n"
      "[console_scripts]\n"
      "Zed = pkg.mod:main\n"
      "alpha=pkg:Class.method [extra1, extra2]\r\n"
      "\n"
      "; another\n"
      "[ gui_scripts ]\n"
      "mid = pkg : run\n"
      "[pytest11]\n"
      "not-a-script = anything at all\n"
      "line without equals\n");
  ASSERT_TRUE(scripts.has_value()) << scripts.error().render();
  const std::vector<Script> want = {{"Zed", "pkg.mod", "main"},
                                    {"alpha", "pkg", "Class.method"},
                                    {"mid", "pkg", "run"}};
  EXPECT_EQ(*scripts, want);
}

TEST(EntryPointsTest, TheLaterAndTheGuiScriptWin) {
  const auto scripts = parse_entry_points(
      "[gui_scripts]\nb = m:gui\n[console_scripts]\na = m:first\na = m:second\nb = m:console\n");
  ASSERT_TRUE(scripts.has_value());
  const std::vector<Script> want = {{"a", "m", "second"}, {"b", "m", "gui"}};
  EXPECT_EQ(*scripts, want);
}

TEST(EntryPointsTest, RefusesWithPreciseMessage) {
  const struct {
    std::string line;
    std::string message;
  } cases[] = {
      {"x", "entry_points.txt has the line 'x', want 'name = value'"},
      {"x = module", "script 'x' calls 'module', want 'module:function'"},
      {"x = m:", "script 'x' calls 'm:', want 'module:function'"},
      {"x = m:f()", "script 'x' calls 'm:f()', want 'module:function'"},
      {"x = m:f\timport os", "script 'x' calls 'm:f\\x09import os', want 'module:function'"},
      {"x = m..n:f", "script 'x' calls 'm..n:f', want 'module:function'"},
      {"x = 1m:f", "script 'x' calls '1m:f', want 'module:function'"},
      {"../x = m:f", "script '../x' has a name that cannot be a file's"},
      {".. = m:f", "script '..' has a name that cannot be a file's"},
      {"a\\b = m:f", "script 'a\\b' has a name that cannot be a file's"},
      {" = m:f", "script '' has a name that cannot be a file's"},
      {std::string(251, 'n') + " = m:f",
       "script '" + std::string(200, 'n') + "…' has a name that cannot be a file's"},
      {"python3 = m:f", "script 'python3' would replace the environment's own"},
      {"caf\xe9 = m:f", "entry_points.txt is not UTF-8"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    const auto scripts = parse_entry_points("[console_scripts]\n" + c.line + "\n");
    ASSERT_FALSE(scripts.has_value());
    EXPECT_EQ(scripts.error().message(), c.message);
  }
}

TEST(EntryPointsTest, ReservedNames) {
  for (const char* name : {"python", "python3", "python3.11", "python3.13t", "Python", "pythonw",
                           "pythonw.exe", "python.py", "pypy", "pypy3.10", "graalpy"})
    EXPECT_TRUE(is_reserved_script_name(name)) << name;
  for (const char* name : {"pythonic", "pypyr", "python-argcomplete", "ipython", "pip", "python3x"})
    EXPECT_FALSE(is_reserved_script_name(name)) << name;
}

TEST(EntryPointsTest, Wrappers) {
  EXPECT_TRUE(is_wrapper_of("x", "x"));
  EXPECT_TRUE(is_wrapper_of("x.exe", "x"));
  EXPECT_TRUE(is_wrapper_of("x-script.py", "x"));
  EXPECT_TRUE(is_wrapper_of("x.pya", "x"));
  EXPECT_FALSE(is_wrapper_of("x.py", "x"));
  EXPECT_FALSE(is_wrapper_of("xy", "x"));
}

TEST(EntryPointsTest, ShebangFitsTheKernel) {
  EXPECT_EQ(shebang("/opt/kist"), "#!/opt/kist/bin/python\n");
  // "#!" + prefix + "/bin/python\n" is 127 bytes long, then 128.
  const std::string fits = "/" + std::string(112, 'p');
  EXPECT_EQ(shebang(fits), "#!" + fits + "/bin/python\n");
  EXPECT_EQ(shebang(fits + "p"),
            "#!/bin/sh\n'''exec' '" + fits + "p/bin/python' \"$0\" \"$@\"\n' '''\n");
  EXPECT_EQ(shebang("/my env"), "#!/bin/sh\n'''exec' '/my env/bin/python' \"$0\" \"$@\"\n' '''\n");
}

TEST(EntryPointsTest, ScriptText) {
  EXPECT_EQ(script_text({.name = "x", .module = "pkg.mod", .attribute = "App.main"},
                        shebang("/opt/kist")),
            "#!/opt/kist/bin/python\n"
            "# -*- coding: utf-8 -*-\n"
            "import sys\n"
            "from pkg.mod import App\n"
            "if __name__ == \"__main__\":\n"
            "    if sys.argv[0].endswith(\"-script.pyw\"):\n"
            "        sys.argv[0] = sys.argv[0][:-11]\n"
            "    elif sys.argv[0].endswith(\".exe\"):\n"
            "        sys.argv[0] = sys.argv[0][:-4]\n"
            "    sys.exit(App.main())\n");
}

}  // namespace
}  // namespace kist::python

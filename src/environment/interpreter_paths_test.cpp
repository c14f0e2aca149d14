#include "environment/interpreter_paths.h"

#include <gtest/gtest.h>

namespace kist::environment {
namespace {

constexpr const char* kData = "lib/python3.12/_sysconfigdata__linux_x86_64-linux-gnu.py";

TEST(InterpreterPathsTest, WhichFilesHavePathsOfTheirOwn) {
  for (const char* path : {kData, "lib/python3.12/_sysconfig_vars__linux.json", "lib/pkgconfig/python-3.12.pc",
                           "lib/python3.12/build-details.json", "bin/pydoc3"})
    EXPECT_TRUE(has_own_paths(path, "3.12")) << path;
  for (const char* path : {"lib/python3.12/os.py", "lib/python3.11/_sysconfigdata_x.py", "share/bin/x", "python"})
    EXPECT_FALSE(has_own_paths(path, "3.12")) << path;
}

TEST(InterpreterPathsTest, BuildPrefix) {
  EXPECT_EQ(build_prefix("{'CC': 'gcc',\n 'prefix': '/install',\n}"), "/install");
  EXPECT_EQ(build_prefix("{'prefix': '/install//'}"), "/install");
  // Its name stands for the system's own files too.
  EXPECT_EQ(build_prefix("{'prefix': '/usr'}"), "");
  for (const char* text : {"", "{'prefix': '/'}", "{'prefix': 'install'}", "{'prefix': '/install", "'exec_prefix': '/a'"})
    EXPECT_EQ(build_prefix(text), "") << text;
}

TEST(InterpreterPathsTest, WholePathsOnly) {
  const struct {
    const char* before;
    const char* after;
  } cases[] = {
      {"x = '/install'", "x = '/opt/python'"},
      {"x = '/install/lib'", "x = '/opt/python/lib'"},
      {"-I/install/include -L/install/lib", "-I/opt/python/include -L/opt/python/lib"},
      {"prefix=/install\n", "prefix=/opt/python\n"},
      {"/install/a:/install/b", "/opt/python/a:/opt/python/b"},
      {"/installer /install-2 /install.d", "/installer /install-2 /install.d"},
      {"/usr/bin/install /build/install/x", "/usr/bin/install /build/install/x"},
      {"./install/x", "./install/x"},
      {"", ""},
  };
  for (const auto& c : cases)
    EXPECT_EQ(fix_interpreter_text("lib/pkgconfig/a.pc", c.before, "/install", "/opt/python"), c.after);
  EXPECT_EQ(fix_interpreter_text("lib/pkgconfig/a.pc", "/usr/lib", "", "/opt/python"), "/usr/lib");
}

TEST(InterpreterPathsTest, CompilersOfTheBuild) {
  const struct {
    const char* before;
    const char* after;
  } cases[] = {
      {" 'CC': 'clang -pthread',", " 'CC': 'cc -pthread',"},
      {" 'CXX': '/tools/llvm/bin/clang++-18 -pthread',", " 'CXX': 'c++ -pthread',"},
      {" 'AR': '/tools/llvm/bin/llvm-ar',", " 'AR': 'ar',"},
      {" 'LDSHARED': 'gcc -m64 -shared'", " 'LDSHARED': 'gcc -m64 -shared'"},
      {" \"CC\": \"/install/bin/gcc\",", " \"CC\": \"gcc\","},
      {" 'CFLAGS': 'clang',", " 'CFLAGS': 'clang',"},
      {" 'CC': '',", " 'CC': '',"},
      {" 'CC'", " 'CC'"},
      {" 'CC': 'clang", " 'CC': 'cc"},
      {"'", "'"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(fix_interpreter_text(kData, c.before, "/install", "/opt/python"), c.after);
}

TEST(InterpreterPathsTest, Shebangs) {
  const struct {
    const char* before;
    const char* after;
  } cases[] = {
      {"#!/install/bin/python3.12\nimport x\n", "#!/opt/python/bin/python3.12\nimport x\n"},
      {"#!/elsewhere/python3 -E\n", "#!/opt/python/bin/python3 -E\n"},
      {"#!/bin/sh\n'''exec' \"$0\"/python3.12\n", "#!/bin/sh\n'''exec' \"$0\"/python3.12\n"},
      {"#!/usr/bin/env python3\n", "#!/usr/bin/env python3\n"},
      {"#!", "#!"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(fix_interpreter_text("bin/pydoc3", c.before, "/install", "/opt/python"), c.after);
}

}  // namespace
}  // namespace kist::environment

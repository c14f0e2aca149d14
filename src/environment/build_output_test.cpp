#include "environment/build_output.h"

#include <gtest/gtest.h>

namespace kist::environment {
namespace {

TEST(BuildOutputTest, MissingCompilersAreRecognised) {
  for (const char* text :
       {"error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
        "src/a.c:3:10: fatal error: Python.h: No such file or directory",
        "running build_ext\nbuilding 'markupsafe._speedups' extension\n",
        "CMake Error: CMAKE_C_COMPILER not set, after EnableLanguage",
        "error: linker `cc` not found", "ERROR: Unknown compiler(s): [['cc'], ['gcc']]"})
    EXPECT_TRUE(lacks_compiler(text)) << text;
  for (const char* text : {"", "SyntaxError: invalid syntax", "src/a.c:1:1: error: unknown type name"})
    EXPECT_FALSE(lacks_compiler(text)) << text;
}

TEST(BuildOutputTest, HintsNameWhatIsMissing) {
  EXPECT_EQ(build_hint("x\na.c:1:10: fatal error: zlib.h: No such file or directory\ny"),
            "`kist add --system NAME-dev`, with the Debian package that has the header zlib.h");
  EXPECT_EQ(build_hint("FileNotFoundError: [Errno 2] No such file or directory: 'cmake'"),
            "`kist add --system cmake`");
  EXPECT_EQ(build_hint("ValueError: no"), "");
  // What a build prints is hostile: nothing of it reaches a terminal as it is.
  EXPECT_EQ(build_hint("fatal error: \x1b[2J.h: No such file or directory"),
            "`kist add --system NAME-dev`, with the Debian package that has the header \\x1b[2J.h");
}

}  // namespace
}  // namespace kist::environment

#include "os/own_program.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/files.h"

namespace kist::os {
namespace {

class OwnProgramTest : public ::testing::Test {
 protected:
  std::string write(const char* name, const std::string& text) {
    const std::string path = join(folder_.path(), name);
    EXPECT_TRUE(write_file_atomically(path, text, 0755).has_value());
    return path;
  }
  TempDir folder_ = TempDir::make("/tmp").value();
  const OwnProgram own_ = own_program();
};

TEST_F(OwnProgramTest, FindsItselfBehindLinksAndScripts) {
  if (own_.inode == 0) GTEST_SKIP() << "the tests lie on a read-only file system";
  EXPECT_TRUE(executes(own_, "/proc/self/exe"));
  const std::string link = join(folder_.path(), "link");
  ASSERT_EQ(::symlink("/proc/self/exe", link.c_str()), 0);
  EXPECT_TRUE(executes(own_, link.c_str()));
  EXPECT_TRUE(executes(own_, write("script", "#!/proc/self/exe\n").c_str()));
  EXPECT_TRUE(executes(own_, write("spaces", "#! \t/proc/self/exe  -x y\nrest").c_str()));
  EXPECT_TRUE(executes(own_, write("cut", "#!/proc/self/exe").c_str()));
  EXPECT_TRUE(executes(own_, write("second", "#!" + join(folder_.path(), "script") + " a\n").c_str()));
}

TEST_F(OwnProgramTest, LetsOthersPass) {
  EXPECT_FALSE(executes(own_, "/bin/sh"));
  EXPECT_FALSE(executes(own_, "/nowhere"));
  EXPECT_FALSE(executes(own_, "/"));
  EXPECT_FALSE(executes(own_, write("script", "#!/bin/sh\n").c_str()));
  EXPECT_FALSE(executes(own_, write("empty", "").c_str()));
  EXPECT_FALSE(executes(own_, write("odd", "#!").c_str()));
  EXPECT_FALSE(executes(own_, write("none", "#!  \n").c_str()));
  const std::string loop = join(folder_.path(), "loop");
  EXPECT_FALSE(executes(own_, write("loop", "#!" + loop + "\n").c_str()));
  const std::string pipe = join(folder_.path(), "pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0755), 0);
  EXPECT_FALSE(executes(own_, pipe.c_str()));
  EXPECT_FALSE(executes(OwnProgram(), "/proc/self/exe"));
}

}  // namespace
}  // namespace kist::os

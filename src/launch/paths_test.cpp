#include "launch/paths.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "os/files.h"

namespace kist::launch {
namespace {

TEST(PathsTest, CleanByTextAlone) {
  const struct {
    const char* path;
    const char* want;
  } cases[] = {{"/", "/"},           {"//", "/"},          {"/a//b/", "/a/b"}, {"/a/./b/.", "/a/b"},
               {"/a/../b", "/b"},    {"/../..", "/"},      {"/a/b/../..", "/"}, {"/..a/.b", "/..a/.b"}};
  for (const auto& c : cases) EXPECT_EQ(clean_path(c.path), c.want) << c.path;
}

// Goal: "link/.." is where the link leads, up one, and not the folder that the link lies in.
TEST(PathsTest, GoesUpFromWhereLinksLead) {
  const os::TempDir temp = os::TempDir::make("/tmp", "kist-paths.").value();
  const std::string top = os::real_path(temp.path()).value();
  ASSERT_TRUE(os::make_folders(top + "/far/away").has_value());
  ASSERT_EQ(0, ::symlink("far/away", (top + "/link").c_str()));
  const struct {
    std::string path;
    std::string want;
  } cases[] = {{"x.py", top + "/x.py"},
               {"./x.py", top + "/x.py"},
               {".", top},
               {"", top},
               {"link/x.py", top + "/link/x.py"},
               {"link/../x.py", top + "/far/x.py"},
               {"missing/../x.py", top + "/x.py"},
               {"/a/./b/", "/a/b"},
               {"link/../../link/.", top + "/link"}};
  for (const auto& c : cases) EXPECT_EQ(host_path(c.path, top), c.want) << c.path;
}

}  // namespace
}  // namespace kist::launch

#include "containers/changes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace kist::containers {
namespace {

// An image and what became of it, as two folders: what overlayfs shows of them.
class ChangesTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const std::string& top : {image(), root()}) {
      ::mkdir(top.c_str(), 0755);
      for (const char* folder : {"/etc", "/keep", "/keep/deep"}) ::mkdir((top + folder).c_str(), 0755);
      for (const char* file : {"/etc/passwd", "/keep/file", "/keep/deep/file", "/gone"}) write(top + file, "1");
    }
  }
  void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
    const timespec times[] = {{1000, 0}, {1000, 0}};
    ::utimensat(AT_FDCWD, path.c_str(), times, 0);
  }
  std::string image() const { return folder_.path() + "/image"; }
  std::string root() const { return folder_.path() + "/root"; }
  std::string upper() const { return folder_.path() + "/upper"; }
  static os::Fd open(const std::string& path) { return std::move(*os::open_file(path, O_PATH | O_DIRECTORY)); }
  std::vector<Change> compared() { return *find_changes(open(image()), open(root()), nullptr); }
  os::TempDir folder_ = std::move(*os::TempDir::make("/tmp", "kist-changes."));
};

TEST_F(ChangesTest, NothingIsNothing) { EXPECT_TRUE(compared().empty()); }

TEST_F(ChangesTest, ComparedInWhole) {
  ::unlink((root() + "/gone").c_str());
  write(root() + "/keep/deep/file", "longer");
  ::mkdir((root() + "/fresh").c_str(), 0755);
  write(root() + "/fresh/in", "x");
  ::unlink((root() + "/etc/passwd").c_str());
  ::mkdir((root() + "/etc/passwd").c_str(), 0755);
  ::chmod((root() + "/keep").c_str(), 0700);
  const std::vector<Change> wanted = {{'C', "/etc"},        {'C', "/etc/passwd"}, {'A', "/fresh"},          {'A', "/fresh/in"},
                                      {'D', "/gone"},       {'C', "/keep"},       {'C', "/keep/deep"}, {'C', "/keep/deep/file"}};
  EXPECT_EQ(compared(), wanted);
}

// Goal: only where something was written is looked. Method: a difference that the upper folder does not name.
TEST_F(ChangesTest, TheUpperFolderSaysWhereToLook) {
  write(root() + "/keep/file", "not looked at");
  write(root() + "/etc/passwd", "other");
  ::mkdir(upper().c_str(), 0755);
  ::mkdir((upper() + "/etc").c_str(), 0755);
  write(upper() + "/etc/passwd", "other");
  const os::Fd hint = std::move(*os::open_file(upper(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(*find_changes(open(image()), open(root()), &hint), (std::vector<Change>{{'C', "/etc"}, {'C', "/etc/passwd"}}));
}

TEST_F(ChangesTest, PlacesToMountOnAreNone) {
  write(root() + "/etc/hosts", "");
  ::mkdir((root() + "/dev").c_str(), 0755);
  write(root() + "/dev/console", "");
  EXPECT_TRUE(compared().empty());
  write(image() + "/etc/hosts", "of the image");
  EXPECT_EQ(compared(), (std::vector<Change>{{'C', "/etc"}, {'C', "/etc/hosts"}}));
}

TEST_F(ChangesTest, LinksAreNotFollowed) {
  (void)!::symlink("/", (root() + "/loop").c_str());
  EXPECT_EQ(compared(), (std::vector<Change>{{'A', "/loop"}}));
}

TEST_F(ChangesTest, DepthIsBounded) {
  std::string deep = root() + "/d";
  for (int i = 0; i < 310; ++i, deep += "/d") ::mkdir(deep.c_str(), 0755);
  EXPECT_EQ(find_changes(open(image()), open(root()), nullptr).error().message(), "more than 300 folders deep");
}

}  // namespace
}  // namespace kist::containers

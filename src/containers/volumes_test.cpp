#include "containers/volumes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>

#include "containers/copy_tree.h"

namespace kist::containers {
namespace {

class VolumesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_.emplace(std::move(*os::TempDir::make("/tmp", "kist-volumes.")));
    image_ = folder_->path() + "/image";
    ::mkdir(image_.c_str(), 0751);
    write(image_ + "/file", "content");
    ::mkdir((image_ + "/sub").c_str(), 01777);
    ::chmod((image_ + "/sub").c_str(), 01777);
    write(image_ + "/sub/deep", "deep");
    (void)!::symlink("/etc", (image_ + "/link").c_str());
    (void)!::link((image_ + "/file").c_str(), (image_ + "/same").c_str());
    ::mkfifo((image_ + "/pipe").c_str(), 0600);
  }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  Volumes volumes() const { return Volumes(folder_->path(), folder_->path() + "/memory"); }
  os::Fd image() const { return std::move(*os::open_file(image_, O_RDONLY | O_DIRECTORY)); }
  std::optional<os::TempDir> folder_;
  std::string image_;
};

TEST_F(VolumesTest, MadeFoundAndRemoved) {
  const auto made = volumes().create({.name = "data", .labels = {{"a", "b"}}});
  ASSERT_TRUE(made);
  EXPECT_EQ(*volumes().find("data"), *made);
  EXPECT_EQ(volumes().create({.name = "data"})->labels.at("a"), "b") << "the one that is there";
  EXPECT_EQ(volumes().create({.name = "data", .driver = "tmpfs"}).error().code(), Code::exists);
  EXPECT_EQ(volumes().list()->size(), 1u);
  EXPECT_TRUE(volumes().remove(*made));
  EXPECT_EQ(volumes().find("data").error().message(), "no such volume: data");
}

TEST_F(VolumesTest, NamesThatLeadElsewhereAreRefused) {
  for (const char* name : {"", ".", "..", "../x", "a/b", "x", "-x", "a\nb"}) {
    EXPECT_FALSE(check_volume_name(name)) << name;
    EXPECT_FALSE(volumes().exists(name)) << name;
  }
  EXPECT_EQ(volumes().create({.name = "../x"}).error().code(), Code::invalid);
  EXPECT_EQ(volumes().create({.name = "xx", .options = {{"type", "nfs"}}}).error().code(), Code::unsupported);
  EXPECT_EQ(volumes().create({.name = "xx", .options = {{"o", "bind"}, {"device", "rel"}}}).error().code(), Code::invalid);
}

TEST_F(VolumesTest, ADamagedRecordIsAnError) {
  ASSERT_TRUE(volumes().create({.name = "data"}));
  write(folder_->path() + "/volumes/data/record", "{\"version\":1,\"labels\":[]}");
  EXPECT_EQ(volumes().find("data").error().code(), Code::corrupt);
  EXPECT_TRUE(volumes().list()->empty());
}

TEST_F(VolumesTest, FilledOnceAndWhole) {
  ASSERT_TRUE(volumes().create({.name = "data"}));
  ASSERT_TRUE(volumes().fill("data", image(), {}));
  const std::string data = *volumes().open("data");
  struct stat st = {};
  ::stat(data.c_str(), &st);
  EXPECT_EQ(st.st_mode & 07777, 0751u);
  ::stat((data + "/sub").c_str(), &st);
  EXPECT_EQ(st.st_mode & 07777, 01777u);
  ::stat((data + "/same").c_str(), &st);
  EXPECT_EQ(st.st_nlink, 2u);
  EXPECT_EQ(*os::read_link(data + "/link"), "/etc");
  ::lstat((data + "/pipe").c_str(), &st);
  EXPECT_TRUE(S_ISFIFO(st.st_mode));
  ::unlink((data + "/file").c_str());
  ASSERT_TRUE(volumes().fill("data", image(), {}));
  EXPECT_FALSE(os::exists(data + "/file")) << "what is not empty is not filled";
}

// Goal: a volume is never taken for full when it is not. Method: what a death leaves at each step.
TEST_F(VolumesTest, ADeathInTheMiddle) {
  ASSERT_TRUE(volumes().create({.name = "data"}));
  const std::string folder = folder_->path() + "/volumes/data";
  ::mkdir((folder + "/filling").c_str(), 0700);
  write(folder + "/filling/half", "");
  ASSERT_TRUE(volumes().fill("data", image(), {}));
  EXPECT_FALSE(os::exists(folder + "/filling"));
  EXPECT_FALSE(os::exists(folder + "/data/half"));
  ::mkdir((folder + "/filled").c_str(), 0711);
  write(folder + "/filled/rest", "rest");
  write(folder + "/filled/file", "not this one");
  ASSERT_TRUE(volumes().open("data"));
  EXPECT_TRUE(os::exists(folder + "/data/rest"));
  EXPECT_EQ(*os::read_file(folder + "/data/file"), "content");
  EXPECT_FALSE(os::exists(folder + "/filled"));
}

TEST_F(VolumesTest, CopyGoesNoDeeperThanItCan) {
  std::string deep = folder_->path() + "/deep";
  ::mkdir(deep.c_str(), 0755);
  const os::Fd top = std::move(*os::open_file(deep, O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 310; ++i) ::mkdir((deep += "/d").c_str(), 0755);
  const std::string to = folder_->path() + "/to";
  ::mkdir(to.c_str(), 0755);
  const auto copied = copy_contents(top, *os::open_file(to, O_RDONLY | O_DIRECTORY), {}, false);
  EXPECT_EQ(copied.error().message(), "more than 300 folders deep");
}

TEST_F(VolumesTest, CopyOverwritesLikeWithLikeOnly) {
  const std::string to = folder_->path() + "/to";
  ::mkdir(to.c_str(), 0755);
  ::mkdir((to + "/file").c_str(), 0755);
  const os::Fd target = std::move(*os::open_file(to, O_RDONLY | O_DIRECTORY));
  const os::Fd file = std::move(*os::open_file(image_ + "/file", O_PATH | O_NOFOLLOW));
  const auto refused = copy_object(file, target, "file", {.overwrite = true});
  EXPECT_EQ(refused.error().message(), "cannot overwrite the folder 'file' with something else");
  write(to + "/sub", "");
  const os::Fd sub = std::move(*os::open_file(image_ + "/sub", O_PATH | O_NOFOLLOW));
  EXPECT_EQ(copy_object(sub, target, "sub", {.overwrite = true}).error().code(), Code::exists);
  // A link in the way is replaced, never followed.
  (void)!::symlink("/tmp/kist-must-not-be-made", (to + "/same").c_str());
  ASSERT_TRUE(copy_object(file, target, "same", {.overwrite = true}));
  EXPECT_EQ(*os::read_file(to + "/same"), "content");
  EXPECT_FALSE(os::exists("/tmp/kist-must-not-be-made"));
}

}  // namespace
}  // namespace kist::containers

#include "os/files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "os/child.h"

namespace kist::os {
namespace {

class FilesTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return join(dir_.path(), name); }
  TempDir dir_ = TempDir::make("/tmp").value();
};

TEST_F(FilesTest, WriteFileReplacesWholeAndLeavesNothingBeside) {
  ASSERT_TRUE(write_file_durably(path("a"), "one").has_value());
  ASSERT_TRUE(write_file_atomically(path("a"), "two", 0600).has_value());
  EXPECT_EQ(read_file(path("a")).value(), "two");
  struct stat st = {};
  ASSERT_EQ(::stat(path("a").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  EXPECT_EQ(list_folder(dir_.path()).value(), std::vector<std::string>{"a"});
}

TEST_F(FilesTest, ReadFileRefusesWhatIsLargerThanTheLimit) {
  ASSERT_TRUE(write_file_atomically(path("big"), std::string(100, 'x')).has_value());
  const auto got = read_file(path("big"), 99);
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().frames().front(), "larger than the limit of 99 B");
  EXPECT_TRUE(read_file(path("big"), 100).has_value());
  // What it says of its size costs nothing: a terabyte of holes.
  ASSERT_EQ(::truncate(path("big").c_str(), 1ll << 40), 0);
  EXPECT_EQ(read_file(path("big"), 99).error().frames().front(), "larger than the limit of 99 B");
}

TEST_F(FilesTest, RemoveTreeNeverFollowsLinks) {
  ASSERT_TRUE(make_folders(path("keep/inner")).has_value());
  ASSERT_TRUE(write_file_atomically(path("keep/inner/file"), "x").has_value());
  ASSERT_TRUE(make_folders(path("gone/sub")).has_value());
  ASSERT_EQ(::symlink(path("keep").c_str(), path("gone/sub/link").c_str()), 0);
  ASSERT_EQ(::chmod(path("gone/sub").c_str(), 0500), 0);
  ASSERT_TRUE(remove_tree(path("gone")).has_value());
  EXPECT_FALSE(exists(path("gone")));
  EXPECT_TRUE(exists(path("keep/inner/file")));
  EXPECT_TRUE(remove_tree(path("gone")).has_value());
}

TEST_F(FilesTest, OpenInRootCannotBeLedOut) {
  ASSERT_TRUE(make_folders(path("root/etc")).has_value());
  ASSERT_EQ(::symlink("/etc", path("root/out").c_str()), 0);
  ASSERT_EQ(::symlink("../../../..", path("root/up").c_str()), 0);
  const Fd root = open_file(path("root"), O_PATH | O_DIRECTORY).value();
  EXPECT_FALSE(open_in_root(root, "out/passwd", O_RDONLY).has_value());
  EXPECT_FALSE(open_in_root(root, "up/etc/passwd", O_RDONLY).has_value());
  EXPECT_TRUE(open_in_root(root, "out", O_PATH | O_DIRECTORY).has_value());  // root/etc
}

TEST_F(FilesTest, LockIsExclusiveUntilDropped) {
  auto first = FileLock::acquire(path("lock"), FileLock::Mode::exclusive);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(FileLock::try_acquire(path("lock"), FileLock::Mode::shared).value().has_value());
  { const FileLock dropped = std::move(*first); }
  EXPECT_TRUE(FileLock::try_acquire(path("lock"), FileLock::Mode::shared).value().has_value());
}

TEST(PathTest, Parts) {
  EXPECT_EQ(join("a", "b"), "a/b");
  EXPECT_EQ(join("/", "b"), "/b");
  EXPECT_EQ(parent_of("/a/b/"), "/a");
  EXPECT_EQ(parent_of("a"), ".");
  EXPECT_EQ(parent_of("/a"), "/");
  EXPECT_EQ(name_of("/a/b/"), "b");
  EXPECT_EQ(name_of("b"), "b");
}

TEST(ChildTest, CollectsBothStreamsAndTheStatus) {
  const auto got = run({.args = {"/bin/sh", "-c", "cat; echo err >&2; exit 7"}, .input = "in"});
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->out, "in");
  EXPECT_EQ(got->err, "err\n");
  EXPECT_EQ(got->status, 7);
}

TEST(ChildTest, SaysWhatCannotBeRun) {
  const auto got = run({.args = {"/no/such/program"}});
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code(), Code::not_found);
  EXPECT_EQ(got.error().message(), "run '/no/such/program': No such file or directory");
}

TEST(ChildTest, BoundsWhatItReads) {
  const auto got = run({.args = {"/bin/sh", "-c", "while :; do echo xxxxxxxxxxxxxxxx; done"},
                        .output_limit = 10000});
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().frames().front(), "printed more than 10.0 kB");
}

}  // namespace
}  // namespace kist::os

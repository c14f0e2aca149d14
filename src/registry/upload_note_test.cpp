#include "registry/upload_note.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "os/files.h"

namespace kist::registry {
namespace {

class UploadNoteTest : public testing::Test {
 protected:
  std::optional<UploadNote> open(const std::string& place = "host/repo", const std::string& content = "x") {
    return UploadNote::open(folder(), place, oci::Sha256::of(content));
  }
  std::string folder() const { return os::join(dir_.path(), "a/partial"); }
  std::string only_file() const {
    const auto names = os::list_folder(folder());
    EXPECT_EQ(names->size(), 1u);
    return os::join(folder(), names->front());
  }

  os::TempDir dir_ = std::move(*os::TempDir::make("/tmp", "kist-upload-note."));
};

TEST_F(UploadNoteTest, IsReadByWhoComesNext) {
  {
    auto note = open();
    ASSERT_TRUE(note);
    EXPECT_EQ(note->location(), "");
    note->write("http://host/v2/repo/blobs/uploads/a-long-one?token=secret");
    note->write("http://host/v2/repo/blobs/uploads/2");
  }
  struct stat st = {};
  ASSERT_EQ(::stat(only_file().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(open()->location(), "http://host/v2/repo/blobs/uploads/2");
  EXPECT_EQ(open("host/other")->location(), "");
  EXPECT_EQ(open("host/repo", "y")->location(), "");
}

TEST_F(UploadNoteTest, OneProcessAtATime) {
  auto first = open();
  ASSERT_TRUE(first);
  EXPECT_FALSE(open());
  EXPECT_TRUE(open("host/other"));
}

TEST_F(UploadNoteTest, ForgottenOrTornCountsAsNone) {
  {
    auto note = open();
    note->write("http://host/1");
    note->forget();
  }
  EXPECT_TRUE(os::list_folder(folder())->empty());
  open()->write("http://host/1");
  for (const char* torn : {"", "kist upload 1\n", "kist upload 1\nhttp://host/1\n", "kist upload 2\nhttp://host/1\nend\n",
                           "kist upload 1\nhttp://host/1\nhttp://host/2\nend\n"}) {
    const os::Fd file = std::move(*os::open_file(only_file(), O_WRONLY | O_TRUNC));
    ASSERT_TRUE(os::write_all(file, torn));
    EXPECT_EQ(open()->location(), "") << torn;
  }
}

TEST_F(UploadNoteTest, WithoutAPlaceThereIsNone) {
  EXPECT_FALSE(UploadNote::open("", "host/repo", oci::Sha256::of("x")));
  EXPECT_FALSE(UploadNote::open("/proc/nothing", "host/repo", oci::Sha256::of("x")));
}

}  // namespace
}  // namespace kist::registry

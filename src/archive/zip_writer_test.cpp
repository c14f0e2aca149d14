#include "archive/zip_writer.h"

#include <gtest/gtest.h>
#include <libdeflate.h>

#include "archive/zip.h"
#include "os/files.h"

namespace kist::archive {
namespace {

Result<void> add(ZipWriter& zip, const std::string& name, uint32_t mode, std::string_view text) {
  TRY(zip.begin_file({.name = name,
                      .mode = mode,
                      .size_bytes = text.size(),
                      .crc = libdeflate_crc32(0, text.data(), text.size())}));
  return zip.write(text);
}

TEST(ZipWriterTest, ReadsBackAndIsTheSameTwice) {
  const os::TempDir dir = os::TempDir::make(testing::TempDir()).value();
  const std::string large(700'000, 'x');
  std::string bytes[2];
  for (std::string& text : bytes) {
    const std::string path = os::join(dir.path(), "a.zip");
    auto zip = ZipWriter::create(path);
    ASSERT_TRUE(zip.has_value());
    ASSERT_TRUE(add(*zip, "a/é.py", 0755, "x = 1").has_value());
    ASSERT_TRUE(add(*zip, "empty", 0644, "").has_value());
    ASSERT_TRUE(add(*zip, "large", 0644, large).has_value());
    ASSERT_TRUE(std::move(*zip).finish().has_value());
    text = os::read_file(path).value();
    const auto read = ZipFile::open(path);
    ASSERT_TRUE(read.has_value()) << read.error().render();
    ASSERT_EQ(read->entries().size(), 3u);
    ZipScratch scratch;
    EXPECT_EQ(read->entries()[0].unix_mode, 0100755);
    EXPECT_EQ(read->read(read->entries()[0], scratch).value(), "x = 1");
    EXPECT_EQ(read->read(read->entries()[1], scratch).value(), "");
    EXPECT_EQ(read->read(read->entries()[2], scratch).value(), large);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(ZipWriterTest, RefusesWhatTheFormatCannotHold) {
  const os::TempDir dir = os::TempDir::make(testing::TempDir()).value();
  auto zip = ZipWriter::create(os::join(dir.path(), "a.zip"));
  ASSERT_TRUE(zip.has_value());
  const auto done = zip->begin_file({.name = "huge", .size_bytes = 5ull << 30});
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().message(), "'huge' makes the zip larger than 65534 entries or 4 GB");
}

}  // namespace
}  // namespace kist::archive

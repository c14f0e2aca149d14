#include "archive/tar_writer.h"

#include <gtest/gtest.h>

namespace kist::archive {
namespace {

std::vector<TarEntry> entries() {
  return {{.path = "etc", .kind = TarKind::folder, .mode = 0755, .uid = 7, .gid = 8, .mtime_s = 1'000'000'000},
          {.path = "etc/\xff\xfe odd", .mode = 04755, .mtime_s = -5, .size_bytes = 5,
           .xattrs = {{"security.capability", std::string("\1\0\2", 3)}, {"user.a", "b"}}},
          {.path = "etc/" + std::string(300, 'x'), .kind = TarKind::symlink, .mode = 0777, .target = std::string(200, 'y')},
          {.path = "same", .kind = TarKind::hardlink, .mode = 0644, .target = "etc/\xff\xfe odd"},
          {.path = "null", .kind = TarKind::character_device, .mode = 0666, .device_major = 1, .device_minor = 3},
          {.path = "large", .mode = 0600, .uid = 3'000'000'000, .size_bytes = 0}};
}

std::string written() {
  std::string out;
  auto tar = TarWriter::open([&](std::string_view bytes) -> Result<void> {
    out += bytes;
    return {};
  });
  for (const TarEntry& entry : entries()) {
    EXPECT_TRUE(tar->begin(entry)) << entry.path;
    if (entry.size_bytes != 0) {
      EXPECT_TRUE(tar->write("hello, and more than fits"));
    }
  }
  EXPECT_TRUE(std::move(*tar).finish());
  return out;
}

TEST(TarWriterTest, WhatIsWrittenIsRead) {
  const std::string bytes = written();
  auto tar = TarReader::open(bytes, TarFilter::none, {});
  ASSERT_TRUE(tar);
  for (const TarEntry& wanted : entries()) {
    TarEntry got;
    ASSERT_TRUE(*tar->next(got));
    if (got.kind == TarKind::folder && got.path.ends_with('/')) got.path.pop_back();
    EXPECT_EQ(got.path, wanted.path);
    EXPECT_EQ(got.kind, wanted.kind);
    EXPECT_EQ(got.mode, wanted.mode) << got.path;
    EXPECT_EQ(got.uid, wanted.uid);
    EXPECT_EQ(got.mtime_s, wanted.mtime_s);
    EXPECT_EQ(got.target, wanted.target);
    EXPECT_EQ(got.xattrs, wanted.xattrs);
    EXPECT_EQ(got.device_minor, wanted.device_minor);
    if (wanted.size_bytes != 0) {
      EXPECT_EQ(*tar->read(), "hello");
    }
  }
  TarEntry end;
  EXPECT_FALSE(*tar->next(end));
}

TEST(TarWriterTest, SameEntriesSameBytes) { EXPECT_EQ(written(), written()); }

TEST(TarWriterTest, AnErrorOfTheOutputIsTold) {
  auto tar = TarWriter::open([](std::string_view) -> Result<void> { return Error(Code::unavailable, "disk full"); });
  ASSERT_TRUE(tar);
  Result<void> done = tar->begin({.path = "file", .size_bytes = 1 << 20});
  const std::string piece(1 << 20, 'x');
  if (done) done = tar->write(piece);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message(), "disk full");
}

}  // namespace
}  // namespace kist::archive

#include "archive/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <memory>

namespace kist::archive {
namespace {

struct Item {
  std::string path;
  unsigned type = AE_IFREG;
  std::string bytes;
  std::string hardlink;
};

// A tar as libarchive writes it; what it refuses to write is made by patching bytes.
std::string make_tar(const std::vector<Item>& items, int filter = ARCHIVE_FILTER_NONE) {
  std::string out(1 << 20, '\0');
  size_t used = 0;
  const std::unique_ptr<::archive, int (*)(::archive*)> tar(::archive_write_new(),
                                                            ::archive_write_free);
  ::archive_write_set_format_pax_restricted(tar.get());
  ::archive_write_add_filter(tar.get(), filter);
  ::archive_write_set_options(tar.get(), "hdrcharset=BINARY");
  ::archive_write_open_memory(tar.get(), out.data(), out.size(), &used);
  for (const Item& item : items) {
    const std::unique_ptr<::archive_entry, void (*)(::archive_entry*)> entry(::archive_entry_new(),
                                                                            ::archive_entry_free);
    ::archive_entry_set_pathname(entry.get(), item.path.c_str());
    ::archive_entry_set_filetype(entry.get(), item.type);
    ::archive_entry_set_perm(entry.get(), 04755);
    ::archive_entry_set_uid(entry.get(), 7);
    ::archive_entry_set_gid(entry.get(), 42);
    ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(item.bytes.size()));
    if (item.type == AE_IFLNK) ::archive_entry_set_symlink(entry.get(), item.bytes.c_str());
    if (item.type == AE_IFLNK) ::archive_entry_set_size(entry.get(), 0);
    if (!item.hardlink.empty()) ::archive_entry_set_hardlink(entry.get(), item.hardlink.c_str());
    ::archive_write_header(tar.get(), entry.get());
    if (item.type == AE_IFREG && item.hardlink.empty())
      ::archive_write_data(tar.get(), item.bytes.data(), item.bytes.size());
  }
  ::archive_write_close(tar.get());
  out.resize(used);
  return out;
}

Result<std::string> read_everything(TarReader& tar) {
  std::string out;
  TarEntry entry;
  while (true) {
    const bool more = TRY(tar.next(entry));
    if (!more) return out;
    out += entry.path + ":";
    while (true) {
      const std::string_view piece = TRY(tar.read());
      if (piece.empty()) break;
      out += piece;
    }
    out += "\n";
  }
}

TEST(TarReaderTest, ReadsKindsOwnersAndModes) {
  const std::string bytes =
      make_tar({{"./d", AE_IFDIR, "", ""},
                {"./d/f", AE_IFREG, "hello", ""},
                {"./d/l", AE_IFLNK, "../x", ""},
                {"./d/h", AE_IFREG, "", "./d/f"},
                {"./n\xff\xc3\xa9", AE_IFREG, "raw", ""}});
  auto tar = TarReader::open(bytes, TarFilter::none, {});
  ASSERT_TRUE(tar.has_value()) << tar.error().render();
  TarEntry entry;
  ASSERT_TRUE(tar->next(entry).value());
  EXPECT_EQ(entry.kind, TarKind::folder);
  ASSERT_TRUE(tar->next(entry).value());
  EXPECT_EQ(entry.path, "./d/f");
  EXPECT_EQ(entry.kind, TarKind::file);
  EXPECT_EQ(entry.mode, 04755u);
  EXPECT_EQ(entry.uid, 7u);
  EXPECT_EQ(entry.gid, 42u);
  EXPECT_EQ(entry.size_bytes, 5u);
  EXPECT_EQ(tar->read().value(), "hello");
  EXPECT_EQ(tar->read().value(), "");
  ASSERT_TRUE(tar->next(entry).value());
  EXPECT_EQ(entry.kind, TarKind::symlink);
  EXPECT_EQ(entry.target, "../x");
  ASSERT_TRUE(tar->next(entry).value());
  EXPECT_EQ(entry.kind, TarKind::hardlink);
  EXPECT_EQ(entry.target, "./d/f");
  ASSERT_TRUE(tar->next(entry).value());
  EXPECT_EQ(entry.path, "./n\xff\xc3\xa9") << "names are bytes, whatever the locale";
  EXPECT_FALSE(tar->next(entry).value());
}

TEST(TarReaderTest, ReadsEveryFilterAndOnlyTheNamedOne) {
  const struct {
    TarFilter filter;
    int code;
  } filters[] = {{TarFilter::none, ARCHIVE_FILTER_NONE},
                 {TarFilter::gzip, ARCHIVE_FILTER_GZIP},
                 {TarFilter::xz, ARCHIVE_FILTER_XZ},
                 {TarFilter::zstd, ARCHIVE_FILTER_ZSTD},
                 {TarFilter::bzip2, ARCHIVE_FILTER_BZIP2}};
  for (const auto& written : filters) {
    const std::string bytes = make_tar({{"a", AE_IFREG, "content", ""}}, written.code);
    for (const auto& named : filters) {
      SCOPED_TRACE(std::to_string(written.code) + " read as " + std::to_string(named.code));
      auto tar = TarReader::open(bytes, named.filter, {});
      const auto text = tar ? read_everything(*tar) : Result<std::string>(tar.error());
      EXPECT_EQ(text.has_value(), written.filter == named.filter);
      if (text) {
        EXPECT_EQ(*text, "a:content\n");
      }
    }
  }
}

TEST(TarReaderTest, SourceComesInPiecesAndItsErrorSurvives) {
  const std::string bytes = make_tar({{"a", AE_IFREG, "content", ""}}, ARCHIVE_FILTER_GZIP);
  size_t at = 0;
  auto tar = TarReader::open(
      [&]() -> Result<std::string_view> {
        const std::string_view piece = std::string_view(bytes).substr(at, 1);
        at += piece.size();
        return piece;
      },
      TarFilter::gzip, {});
  ASSERT_TRUE(tar.has_value());
  EXPECT_EQ(read_everything(*tar).value(), "a:content\n");

  auto failing = TarReader::open(
      []() -> Result<std::string_view> { return Error(Code::unavailable, "the line went dead"); },
      TarFilter::none, {});
  ASSERT_FALSE(failing.has_value());
  EXPECT_EQ(failing.error().message(), "the line went dead");
}

// Goal: a stream that is cut at any place is an error, never a shorter success.
TEST(TarReaderTest, TruncationAnywhereInAnEntryIsAnError) {
  const std::string bytes =
      make_tar({{"a", AE_IFREG, std::string(3000, 'x'), ""}}, ARCHIVE_FILTER_XZ);
  for (size_t size = 1; size + 12 < bytes.size(); size += 3) {
    SCOPED_TRACE(size);
    auto tar = TarReader::open(std::string_view(bytes).substr(0, size), TarFilter::xz, {});
    EXPECT_FALSE(tar && read_everything(*tar));
  }
}

TEST(TarReaderTest, KeepsLimits) {
  const std::string bytes = make_tar({{"a", AE_IFREG, std::string(600, 'x'), ""},
                                      {"b", AE_IFREG, std::string(600, 'x'), ""}});
  const struct {
    TarLimits limits;
    std::string message;
  } cases[] = {
      {{.entries = 1}, "tar stream has more than 1 entries"},
      {{.unpacked_bytes = 1000}, "tar stream unpacks to more than 1.0 kB"},
  };
  for (const auto& c : cases) {
    auto tar = TarReader::open(bytes, TarFilter::none, c.limits);
    const auto text = read_everything(*tar);
    ASSERT_FALSE(text.has_value());
    EXPECT_EQ(text.error().code(), Code::invalid);
    EXPECT_EQ(text.error().message(), c.message);
  }
  const std::string long_name = make_tar({{std::string(5000, 'n'), AE_IFREG, "", ""}});
  auto tar = TarReader::open(long_name, TarFilter::none, {});
  EXPECT_FALSE(read_everything(*tar).has_value());
}

TEST(TarReaderTest, RandomDamageNeverCrashes) {
  const std::string good = make_tar({{"a/b", AE_IFREG, std::string(2000, 'x'), ""},
                                     {"c", AE_IFLNK, "a/b", ""}});
  uint32_t seed = 12345;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 4; ++i) {
      seed = seed * 1664525 + 1013904223;
      bytes[seed % bytes.size()] = static_cast<char>(seed >> 24);
    }
    auto tar = TarReader::open(bytes, TarFilter::none, {.entries = 100, .unpacked_bytes = 1 << 20});
    if (tar) static_cast<void>(read_everything(*tar).has_value());
  }
}

TEST(CleanTarPathTest, CleansAndRefuses) {
  EXPECT_EQ(clean_tar_path("./usr//bin/./env").value(), "usr/bin/env");
  EXPECT_EQ(clean_tar_path("./").value(), "");
  EXPECT_EQ(clean_tar_path("a/").value(), "a");
  EXPECT_EQ(clean_tar_path("a/..b").value(), "a/..b");
  EXPECT_EQ(clean_tar_path("/etc/passwd").error().message(),
            "path '/etc/passwd' is absolute, want one inside the archive");
  EXPECT_EQ(clean_tar_path("a/../../b").error().message(), "path 'a/../../b' has '..' in it");
}

}  // namespace
}  // namespace kist::archive

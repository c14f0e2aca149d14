#include "archive/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "archive/zip_forge.h"
#include "os/files.h"

namespace kist::archive {
namespace {

class ZipTest : public testing::Test {
 protected:
  // Thousands of archives are opened here: in memory, where replacing a file costs no disk write.
  Result<ZipFile> open(std::string_view bytes, const ZipLimits& limits = {}) {
    const os::Fd fd(::memfd_create("zip", MFD_CLOEXEC));
    EXPECT_TRUE(os::write_all(fd, bytes).has_value());
    return ZipFile::open(fmt::format("/proc/self/fd/{}", fd.get()), limits);
  }
  // The innermost message of opening, or of reading every entry; "" when all is well.
  std::string complaint(std::string_view bytes, const ZipLimits& limits = {}) {
    const auto zip = open(bytes, limits);
    if (!zip) return zip.error().frames().front();
    ZipScratch scratch;
    for (const ZipEntry& entry : zip->entries()) {
      const auto content = zip->read(entry, scratch);
      if (!content) return content.error().frames().front();
    }
    return "";
  }
};

std::string noise(size_t size) {
  std::string out(size, '\0');
  uint64_t state = 88172645463325252ull;
  for (char& c : out) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>(state >> 32 & 63);
  }
  return out;
}

// Long, but quick to compress.
std::string long_text(size_t size) {
  const std::string piece = noise(4096);
  std::string out;
  while (out.size() < size) out += piece;
  out.resize(size);
  return out;
}

std::string concatenated(const ZipFile& zip, const ZipEntry& entry) {
  ZipScratch scratch;
  std::string out;
  const auto done = zip.read_chunks(entry, scratch, [&](std::string_view chunk) -> Result<void> {
    out += chunk;
    return {};
  });
  EXPECT_TRUE(done.has_value()) << done.error().render();
  return out;
}

TEST_F(ZipTest, ReadsWhatWasWritten) {
  const std::string big = noise(100'000);
  const auto zip = open(forge_zip({{.name = "a/b.py", .content = big, .unix_mode = 0100755},
                                   {.name = "stored", .content = "plain", .deflate = false},
                                   {.name = "later", .content = "described", .descriptor = true},
                                   {.name = "empty", .content = ""},
                                   {.name = "folder/", .content = "", .unix_mode = 040755}},
                                  {.comment = "made by hand"}));
  ASSERT_TRUE(zip.has_value()) << zip.error().render();
  ASSERT_EQ(zip->entries().size(), 5u);
  ZipScratch scratch;
  EXPECT_EQ(zip->entries()[0].name, "a/b.py");
  EXPECT_EQ(zip->entries()[0].unix_mode, 0100755);
  EXPECT_EQ(zip->read(zip->entries()[0], scratch).value(), big);
  EXPECT_EQ(zip->read(zip->entries()[1], scratch).value(), "plain");
  EXPECT_EQ(zip->read(zip->entries()[2], scratch).value(), "described");
  EXPECT_EQ(zip->read(zip->entries()[3], scratch).value(), "");
  EXPECT_TRUE(zip->entries()[4].is_folder);
  EXPECT_EQ(zip->entries()[4].name, "folder");
  EXPECT_EQ(zip->find("stored"), &zip->entries()[1]);
  EXPECT_EQ(zip->find("missing"), nullptr);
}

// Above kWholeBytes an entry goes through another decompressor; both must give the same.
TEST_F(ZipTest, StreamsLargeEntries) {
  const std::string large = long_text(ZipFile::kWholeBytes + 12345);
  for (const bool deflate : {true, false}) {
    SCOPED_TRACE(deflate);
    const auto zip = open(forge_zip({{.name = "small", .content = "x"},
                                     {.name = "large", .content = large, .deflate = deflate},
                                     {.name = "after", .content = "y"}}));
    ASSERT_TRUE(zip.has_value()) << zip.error().render();
    EXPECT_TRUE(concatenated(*zip, zip->entries()[1]) == large);
    EXPECT_EQ(concatenated(*zip, zip->entries()[2]), "y");
    ZipScratch scratch;
    const auto whole = zip->read(zip->entries()[1], scratch);
    ASSERT_FALSE(whole.has_value());
    EXPECT_EQ(whole.error().message(), "entry 'large': 33.6 MB are more than can be read at once");
  }
}

TEST_F(ZipTest, LargeEntriesAreCheckedToo) {
  const std::string large = long_text(ZipFile::kWholeBytes + 1);
  const auto size = static_cast<uint32_t>(large.size());
  const struct {
    const char* why;
    ForgedEntry entry;
    std::string message;
  } cases[] = {
      {"crc",
       {.name = "l", .content = large, .central_crc = 1, .local_crc = 1},
       "entry 'l': its content has CRC "},
      {"stored crc",
       {.name = "l", .content = large, .deflate = false, .central_crc = 1, .local_crc = 1},
       "entry 'l': its content has CRC "},
      {"longer than promised",
       {.name = "l", .content = large, .central_size = size - 1, .local_size = size - 1},
       "entry 'l': its content is longer than 33554432 bytes"},
      {"shorter than promised",
       {.name = "l", .content = large, .central_size = size + 1, .local_size = size + 1},
       "entry 'l': its content is 33554433 bytes long, want 33554434"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto zip = open(forge_zip({c.entry}));
    // One byte less than the truth would be read whole.
    if (zip && zip->entries()[0].size_bytes <= ZipFile::kWholeBytes &&
        zip->entries()[0].packed_bytes <= ZipFile::kWholeBytes) {
      EXPECT_EQ(complaint(forge_zip({c.entry})), c.message);
      continue;
    }
    ASSERT_TRUE(zip.has_value()) << zip.error().render();
    ZipScratch scratch;
    const auto done = zip->read_chunks(zip->entries()[0], scratch,
                                       [](std::string_view) -> Result<void> { return {}; });
    ASSERT_FALSE(done.has_value());
    EXPECT_THAT(done.error().message(), testing::StartsWith(c.message));
  }
}

TEST_F(ZipTest, Zip64) {
  const auto zip = open(forge_zip({{.name = "a", .content = "1"}}, {.zip64 = true}));
  ASSERT_TRUE(zip.has_value()) << zip.error().render();
  EXPECT_EQ(zip->entries().size(), 1u);
  EXPECT_EQ(complaint(forge_zip({{.name = "a", .content = "1"}},
                                {.entries = 2, .zip64 = true})),
            "the two end records contradict each other");
  EXPECT_EQ(complaint(forge_zip({{.name = "a", .content = "1"}},
                                {.zip64 = true, .zip64_entries = 0})),
            "the directory has 47 bytes after its last entry");
  EXPECT_EQ(complaint(forge_zip({{.name = "a", .content = "1"}},
                                {.zip64 = true, .zip64_entries = 1ull << 40})),
            "1099511627776 entries, more than the limit of 2000000");
}

TEST_F(ZipTest, NamesAreNormalised) {
  const auto zip = open(forge_zip({{.name = "./a//b/./c", .content = ""},
                                   {.name = "d//", .content = ""},
                                   {.name = "./", .content = ""},
                                   {.name = "é/..x/x..", .content = ""}}));
  ASSERT_TRUE(zip.has_value()) << zip.error().render();
  EXPECT_EQ(zip->entries()[0].name, "a/b/c");
  EXPECT_EQ(zip->entries()[1].name, "d");
  EXPECT_EQ(zip->entries()[2].name, "");
  EXPECT_EQ(zip->entries()[3].name, "é/..x/x..");
}

TEST_F(ZipTest, RefusesHostileNames) {
  const std::string long_name(256, 'n');
  std::string deep;
  for (int i = 0; i < 129; ++i) deep += "d/";
  const struct {
    std::string name;
    std::string message;
  } cases[] = {
      {"", "an entry has an empty name"},
      {"/etc/passwd", "entry '/etc/passwd' has a name that is absolute"},
      {"../x", "entry '../x' has a name that contains '..'"},
      {"a/../../x", "entry 'a/../../x' has a name that contains '..'"},
      {"a/..", "entry 'a/..' has a name that contains '..'"},
      {"..", "entry '..' has a name that contains '..'"},
      {"./.", "entry './.' has a name without a file"},
      {std::string("a\0b", 3), "entry 'a\\x00b' has a name with a NUL byte"},
      {"a\nb", "entry 'a\\x0ab' has a name with a control character"},
      {"a\x1b[31m", "entry 'a\\x1b[31m' has a name with a control character"},
      {"caf\xe9", "entry 'caf\\xe9' has a name that is not UTF-8"},
      {long_name, "entry '" + std::string(200, 'n') +
                      "…' has a name with a component of 256 bytes, more than 255"},
      {std::string(5000, 'x'),
       "entry '" + std::string(200, 'x') + "…' has a name of 5000 bytes, more than 4095"},
      {deep + "x",
       "entry '" + deep.substr(0, 200) + "…' has a name of more than 128 components"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    EXPECT_EQ(complaint(forge_zip({{.name = c.name, .content = ""}})), c.message);
  }
}

TEST_F(ZipTest, RefusesWhatContradictsItself) {
  std::string second_name(5, '\0');
  second_name += "other";
  std::string unicode_path;
  put16(unicode_path, zip::kExtraUnicodePath);
  put16(unicode_path, second_name.size());
  unicode_path += second_name;
  const std::string text = noise(1000);
  const struct {
    const char* why;
    ForgedEntry entry;
    std::string message;
  } cases[] = {
      {"name", {.name = "a", .content = text, .local_name = "b"},
       "entry 'a': its local header has another name"},
      {"name length", {.name = "a", .content = text, .local_name = "ab"},
       "entry 'a': its local header has another name"},
      {"second name", {.name = "a", .content = text, .central_extra = unicode_path},
       "entry 'a' has a second name"},
      {"crc", {.name = "a", .content = "xyz", .local_crc = 7},
       "entry 'a': its local header says CRC 00000007, 8 and 3 bytes, the directory eb8eba67, 8 "
       "and 3"},
      {"size", {.name = "a", .content = "xyz", .local_size = 4},
       "entry 'a': its local header says CRC eb8eba67, 8 and 4 bytes, the directory eb8eba67, 8 "
       "and 3"},
      {"descriptor", {.name = "a", .content = "xyz", .descriptor = true, .local_size = 4},
       "entry 'a': its data descriptor disagrees with the directory"},
      {"method", {.name = "a", .content = "xyz", .deflate = false, .central_method = 8},
       "entry 'a': its local header has method 0 and flags 0x0, the directory 8 and 0x0"},
      {"wrong crc", {.name = "a", .content = "xyz", .central_crc = 7, .local_crc = 7},
       "entry 'a': its content has CRC eb8eba67, want 00000007"},
      {"longer", {.name = "a", .content = "xyz", .central_size = 2, .local_size = 2},
       "entry 'a': its content is longer than 2 bytes"},
      {"shorter", {.name = "a", .content = "xyz", .central_size = 4, .local_size = 4},
       "entry 'a': its content is 3 bytes long, want 4"},
      {"stored with two sizes",
       {.name = "a", .content = "xyz", .deflate = false, .central_size = 4, .local_size = 4},
       "entry 'a' is stored, but 3 and 4 bytes long"},
      {"bomb", {.name = "a", .content = "xyz", .central_size = 1u << 30, .local_size = 1u << 30},
       "entry 'a' says that it unpacks from 8 to 1073741824 bytes"},
      {"folder with content", {.name = "a/", .content = "xyz"},
       "entry 'a/' is a folder with content"},
      {"encrypted", {.name = "a", .content = "xyz", .flags = 1},
       "entry 'a' is encrypted or patched"},
      {"bzip2", {.name = "a", .content = "xyz", .central_method = 12},
       "entry 'a' has compression method 12, want stored or deflate"},
      {"offset", {.name = "a", .content = "xyz", .offset = 4000},
       "entry 'a' overlaps what follows it"},
      {"no header there", {.name = "a", .content = text, .offset = 1},
       "entry 'a' overlaps what follows it"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_EQ(complaint(forge_zip({c.entry})), c.message);
  }
}

// Two directory entries over one local header: how a small file unpacks to petabytes.
TEST_F(ZipTest, RefusesOverlappingEntries) {
  EXPECT_EQ(complaint(forge_zip({{.name = "a", .content = noise(1000)},
                                 {.name = "b", .content = noise(1000), .offset = 0}})),
            "entry 'a' overlaps what follows it");
  EXPECT_EQ(complaint(forge_zip({{.name = "a", .content = noise(1000)},
                                 {.name = "b", .content = noise(1000), .offset = 100}})),
            "entry 'a' overlaps what follows it");
}

TEST_F(ZipTest, RefusesBrokenEnds) {
  const std::vector<ForgedEntry> one = {{.name = "a", .content = "xyz"}};
  const std::string good = forge_zip(one);
  EXPECT_EQ(complaint(""), "not a zip: 0 bytes, shorter than an end record");
  EXPECT_EQ(complaint(std::string(100, 'x')), "not a zip, or cut off: it has no end record");
  EXPECT_EQ(complaint(good + "x"), "not a zip, or cut off: it has no end record");
  EXPECT_EQ(complaint("junk" + good),
            "the directory is said to have 47 bytes from offset 39, but ends at 90");
  EXPECT_EQ(complaint(forge_zip(one, {.gap = "gap"})),
            "the directory is said to have 47 bytes from offset 39, but ends at 89");
  EXPECT_EQ(complaint(forge_zip(one, {.entries = 2})),
            "a directory of 47 bytes cannot hold 2 entries");
  EXPECT_EQ(complaint(forge_zip(one, {.entries = 0})),
            "the directory has 47 bytes after its last entry");
  EXPECT_EQ(complaint(forge_zip(one, {.directory_offset = 35})),
            "the directory is said to have 47 bytes from offset 35, but ends at 86");
}

// Goal: no cut makes a crash, a hang or a success. Method: every length of a whole archive.
TEST_F(ZipTest, EveryTruncationIsRefused) {
  const std::string good = forge_zip(
      {{.name = "a", .content = noise(300)}, {.name = "b", .content = "y", .descriptor = true}});
  ASSERT_EQ(complaint(good), "");
  for (size_t size = 0; size < good.size(); ++size) EXPECT_NE(complaint(good.substr(0, size)), "");
}

// Goal: damaged archives are refused or give the right content, never something else. Method: each
// byte changed in turn; contents that come back must be the original's.
TEST_F(ZipTest, EveryChangedByteIsHarmless) {
  const std::string content = noise(200);
  const std::string good = forge_zip({{.name = "a", .content = content, .descriptor = true},
                                      {.name = "b", .content = content, .deflate = false}});
  int refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    const auto zip = open(bad);
    if (!zip) {
      ++refused;
      continue;
    }
    ZipScratch scratch;
    for (const ZipEntry& entry : zip->entries()) {
      const auto got = zip->read(entry, scratch);
      if (!got) {
        ++refused;
      } else if (!entry.is_folder) {
        EXPECT_EQ(*got, content) << at;
      }
    }
  }
  EXPECT_GT(refused, 500);
}

TEST_F(ZipTest, LimitsHold) {
  const std::vector<ForgedEntry> two = {{.name = "a", .content = std::string(1000, 'x')},
                                        {.name = "b", .content = std::string(1000, 'x')}};
  EXPECT_EQ(complaint(forge_zip(two), {.entries = 1}), "2 entries, more than the limit of 1");
  EXPECT_EQ(complaint(forge_zip(two), {.directory_bytes = 90}),
            "a directory of 94 B, more than the limit of 90 B");
  EXPECT_EQ(complaint(forge_zip(two), {.unpacked_bytes = 1999}),
            "unpacks to more than the limit of 2.0 kB");
  EXPECT_EQ(complaint(forge_zip(two), {.ratio = 5, .ratio_floor_bytes = 1000}),
            "unpacks from 200 B to 2.0 kB, more than 5 times as much");
  EXPECT_EQ(complaint(forge_zip(two), {.ratio = 5, .ratio_floor_bytes = 2000}), "");
}

TEST_F(ZipTest, OneFileFromManyThreads) {
  std::vector<ForgedEntry> entries;
  for (int i = 0; i < 200; ++i)
    entries.push_back({.name = fmt::format("f{}", i), .content = noise(1000) + std::to_string(i)});
  const auto zip = open(forge_zip(entries));
  ASSERT_TRUE(zip.has_value());
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      ZipScratch scratch;
      for (size_t i = 0; i < entries.size(); ++i)
        if (zip->read(zip->entries()[i], scratch).value() == entries[i].content) ++right;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 800);
}

TEST_F(ZipTest, AFailureOfTheTakerIsPassedOn) {
  const auto zip = open(forge_zip({{.name = "a", .content = "x"}}));
  ZipScratch scratch;
  const auto done = zip->read_chunks(
      zip->entries()[0], scratch,
      [](std::string_view) -> Result<void> { return Error(Code::unavailable, "disk full"); });
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().message(), "disk full");
}

TEST_F(ZipTest, NotAFile) {
  const auto folder = ZipFile::open(testing::TempDir());
  ASSERT_FALSE(folder.has_value());
  EXPECT_THAT(folder.error().message(), testing::HasSubstr("is not a regular file"));
  const auto missing = ZipFile::open(testing::TempDir() + "no such file");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code(), Code::not_found);
}

}  // namespace
}  // namespace kist::archive

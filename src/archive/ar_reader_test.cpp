#include "archive/ar_reader.h"

#include <gtest/gtest.h>

namespace kist::archive {
namespace {

// One member with its header, padded to an even length.
std::string member(std::string name, const std::string& bytes, std::string size = "") {
  name.resize(16, ' ');
  if (size.empty()) size = std::to_string(bytes.size());
  size.resize(10, ' ');
  std::string out = name + "0           0     0     100644  " + size + "`\n" + bytes;
  if (bytes.size() % 2 == 1) out += '\n';
  return out;
}

constexpr char kMagic[] = "!<arch>\n";

TEST(ArReaderTest, ReadsMembersInOrder) {
  const std::string file =
      kMagic + member("debian-binary", "2.0\n") + member("odd/", "abc") + member("last", "");
  const auto members = read_ar(file);
  ASSERT_TRUE(members.has_value()) << members.error().render();
  ASSERT_EQ(members->size(), 3u);
  EXPECT_EQ((*members)[0].name, "debian-binary");
  EXPECT_EQ((*members)[0].bytes, "2.0\n");
  EXPECT_EQ((*members)[1].name, "odd");
  EXPECT_EQ((*members)[1].bytes, "abc");
  EXPECT_EQ((*members)[2].bytes, "");
}

TEST(ArReaderTest, LastPadMayBeMissing) {
  std::string file = kMagic + member("odd", "abc");
  file.pop_back();
  EXPECT_TRUE(read_ar(file).has_value());
}

TEST(ArReaderTest, RefusesWithPreciseMessage) {
  std::string no_end = kMagic + member("x", "");
  no_end[8 + 58] = '?';
  std::string many = kMagic;
  for (int i = 0; i < 65; ++i) many += member("m", "");
  const struct {
    const char* why;
    std::string file;
    std::string message;
  } cases[] = {
      {"empty", "", "not an ar archive: it starts with '', want '!<arch>'"},
      {"html", "<html>ok</html>", "not an ar archive: it starts with '<html>ok', want '!<arch>'"},
      {"cut header", std::string(kMagic) + "abc",
       "ar header at offset 8 is cut off: 3 bytes, want 60"},
      {"no end mark", no_end, "ar header at offset 8 has no end mark"},
      {"long name table", kMagic + member("//", "x"),
       "ar member at offset 8 has the name '//              ', which no .deb may have"},
      {"BSD name", kMagic + member("#1/20", "x"),
       "ar member at offset 8 has the name '#1/20           ', which no .deb may have"},
      {"folder in name", kMagic + member("a/b", "x"),
       "ar member at offset 8 has the name 'a/b             ', which no .deb may have"},
      {"negative size", kMagic + member("x", "", "-1"),
       "ar member 'x' at offset 8 has the size '-1', not a number"},
      {"cut body", kMagic + member("x", "abc", "1000"),
       "ar member 'x' is cut off: 4 bytes, want 1000"},
      {"too many", many, "ar archive has more than 64 members"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const auto got = read_ar(c.file);
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code(), Code::corrupt);
    EXPECT_EQ(got.error().message(), c.message);
  }
}

}  // namespace
}  // namespace kist::archive

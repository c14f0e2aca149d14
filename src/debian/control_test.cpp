#include "debian/control.h"

#include <gtest/gtest.h>

namespace kist::debian {
namespace {

TEST(ControlTest, ReadsParagraphsWithFoldedFields) {
  const auto all = parse_paragraphs(
      "Package: a\nDescription: short\n long one\n .\nsha256:\n x 1 y\n\n\nPackage: b\n");
  ASSERT_TRUE(all.has_value()) << all.error().render();
  ASSERT_EQ(all->size(), 2u);
  const Paragraph& a = (*all)[0];
  EXPECT_EQ(a.get("package"), "a") << "field names have no case";
  EXPECT_EQ(a.get("Description"), "short\n long one\n .");
  EXPECT_EQ(a.get("SHA256"), "\n x 1 y");
  EXPECT_EQ(a.words("SHA256"), (std::vector<std::string>{"x", "1", "y"}));
  EXPECT_EQ(a.get("Missing"), "");
  EXPECT_FALSE(a.has("Missing"));
  EXPECT_EQ(a.text(), "Package: a\nDescription: short\n long one\n .\nsha256:\n x 1 y\n");
  EXPECT_EQ((*all)[1].get("Package"), "b");
}

TEST(ControlTest, RefusesWithLine) {
  EXPECT_EQ(parse_paragraphs(" folded\n").error().message(),
            "line 1 continues a field, but none has begun");
  EXPECT_EQ(parse_paragraphs("A: b\nno colon\n").error().message(),
            "line 2 is 'no colon', want 'Name: value'");
  EXPECT_EQ(parse_paragraph("").error().message(), "0 paragraphs, want 1");
  EXPECT_EQ(parse_paragraph("A: b\n\nC: d\n").error().message(), "2 paragraphs, want 1");
}

TEST(ControlTest, CommentsOnlyWhereAllowed) {
  EXPECT_EQ(parse_paragraphs("# x\nA: b\n", true)->size(), 1u);
  EXPECT_FALSE(parse_paragraphs("# x\nA: b\n").has_value());
}

TEST(ControlTest, ParsesRelations) {
  const auto all = parse_relations("libc6 (>= 2.34), python3:any | python (<< 4) [amd64], , x");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0][0].name, "libc6");
  EXPECT_EQ(all[0][0].op, ">=");
  EXPECT_EQ(all[0][0].version, "2.34");
  ASSERT_EQ(all[1].size(), 2u);
  EXPECT_EQ(all[1][0].name, "python3");
  EXPECT_EQ(all[1][1].op, "<<");
  EXPECT_EQ(all[2][0].op, "");
}

// The order that deb-version(7) gives, from small to large: each is before all that follow.
TEST(ControlTest, ComparesVersions) {
  const char* const ascending[] = {"0~~",   "0~",      "0",       "1.0~rc1-1", "1.0",     "1.0-1",
                                   "1.0-1+b1", "1.0-1+deb12u1", "1.0-1.1", "1.0-2", "1.0-10",
                                   "1.0a",  "1.0+dfsg", "1.1",     "1.10",      "1:0.1",   "2:0"};
  for (size_t i = 0; i < std::size(ascending); ++i)
    for (size_t j = 0; j < std::size(ascending); ++j) {
      SCOPED_TRACE(std::string(ascending[i]) + " against " + ascending[j]);
      const int got = compare_versions(ascending[i], ascending[j]);
      EXPECT_EQ(got < 0, i < j);
      EXPECT_EQ(got > 0, i > j);
    }
  EXPECT_EQ(compare_versions("1.00", "1.0"), 0);
  EXPECT_EQ(compare_versions("0:1", "1"), 0);
}

}  // namespace
}  // namespace kist::debian

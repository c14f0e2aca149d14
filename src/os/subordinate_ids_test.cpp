#include "os/subordinate_ids.h"

#include <gtest/gtest.h>

namespace kist::os {
namespace {

std::string shown(const std::vector<IdRange>& ranges) {
  std::string out;
  for (const IdRange& range : ranges)
    out += std::to_string(range.first) + "+" + std::to_string(range.count) + " ";
  return out;
}

TEST(SubordinateIdsTest, TakesThePersonsOwnByNameOrNumber) {
  const std::string text = "ada:100000:65536\nbob:200000:65536\n1000:300000:10\nada:400000:5";
  EXPECT_EQ(shown(parse_subordinate_ids(text, "ada", 1000)), "100000+65536 300000+10 400000+5 ");
  EXPECT_EQ(shown(parse_subordinate_ids(text, "", 1000)), "300000+10 ");
  EXPECT_EQ(shown(parse_subordinate_ids(text, "eve", 7)), "");
}

TEST(SubordinateIdsTest, PassesOverOddLines) {
  const std::string text =
      "ada\nada:1\nada:x:5\nada:5:y\nada:0:5\nada:7:0\nada:4294967295:1\nada:4294967290:9\nada:-1:5\n"
      "ada:1:2:3\n:1:2\n\nada:18446744073709551617:1\nada:9:1\n";
  EXPECT_EQ(shown(parse_subordinate_ids(text, "ada", 1000)), "9+1 ");
  EXPECT_EQ(shown(parse_subordinate_ids(text, "", 1000)), "");
}

TEST(SubordinateIdsTest, ADamagedFileIsNone) { EXPECT_TRUE(subordinate_ids("/nowhere", 1000).empty()); }

}  // namespace
}  // namespace kist::os

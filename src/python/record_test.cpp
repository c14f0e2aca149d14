#include "python/record.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

TEST(RecordTest, HashIsAsInTheSpecification) {
  EXPECT_EQ(record_hash(oci::Sha256::of("")), "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
  EXPECT_EQ(record_hash(oci::Sha256::of("hello")),
            "sha256=LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ");
}

TEST(RecordTest, ReadsWhatToolsWrite) {
  const auto rows = parse_record(
      "a.py,sha256=x,12\r\n"
      "\"with,comma and \"\"quote\"\".py\",md5=y,0\n"
      "\n"
      "/leading/slash.py,,\n"
      "alone");
  ASSERT_TRUE(rows.has_value());
  const std::vector<RecordRow> want = {{"a.py", "sha256=x", 12},
                                       {"with,comma and \"quote\".py", "md5=y", 0},
                                       {"leading/slash.py", "", std::nullopt},
                                       {"alone", "", std::nullopt}};
  EXPECT_EQ(*rows, want);
}

TEST(RecordTest, SaysWhatItCannotRead) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"a,b,c,d\n", "line 1 has more than 3 fields"},
      {"a,,\nb,,x\n", "line 2 has the size 'x', which is no number"},
      {"a,,-1\n", "line 1 has the size '-1', which is no number"},
      {"a,,\n\"b,,\n", "line 2 has a quote that does not end"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto rows = parse_record(c.text);
    ASSERT_FALSE(rows.has_value());
    EXPECT_EQ(rows.error().message(), c.message);
  }
}

TEST(RecordTest, WritesSortedEachPathOnce) {
  EXPECT_EQ(write_record({{"b", "h", 2}, {"a,b", "h", 1}, {"b", "h", 2}, {"RECORD", "", std::nullopt}}),
            "RECORD,,\n\"a,b\",h,1\nb,h,2\n");
}

TEST(RecordTest, ReadsBackWhatItWrote) {
  const std::vector<RecordRow> rows = {{"a \"q\" b", "x", 1}, {"line\nbreak", "y", 0}, {"é", "", {}}};
  const auto again = parse_record(write_record(rows));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, rows);
}

}  // namespace
}  // namespace kist::python

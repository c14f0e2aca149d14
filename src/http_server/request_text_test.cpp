#include "http_server/request_text.h"

#include <gtest/gtest.h>

namespace kist::http_server {
namespace {

TEST(ParseTarget, DecodesPathAndQuery) {
  const auto target = parse_target("/v2/a%2Fb/blobs/uploads/?digest=sha256%3Aab&mount=&x=a+b&x=2");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/v2/a/b/blobs/uploads/");
  EXPECT_EQ(*target->find("digest"), "sha256:ab");
  EXPECT_EQ(*target->find("mount"), "");
  EXPECT_EQ(*target->find("x"), "a b");
  EXPECT_EQ(target->query.count("x"), 2u);
  EXPECT_EQ(target->find("y"), nullptr);
}

TEST(ParseTarget, TakesTheAbsoluteForm) {
  EXPECT_EQ(parse_target("http://host:5000/v2/?n=1")->path, "/v2/");
  EXPECT_EQ(parse_target("http://host")->path, "/");
}

TEST(ParseTarget, RefusesWhatIsHostile) {
  EXPECT_FALSE(parse_target(""));
  EXPECT_FALSE(parse_target("*"));
  EXPECT_FALSE(parse_target("v2/"));
  EXPECT_FALSE(parse_target("/v2/%zz"));
  EXPECT_FALSE(parse_target("/v2/%4"));
  EXPECT_FALSE(parse_target("/v2/%00"));
  std::string many = "/?";
  for (int i = 0; i < 101; ++i) many += "a&";
  EXPECT_FALSE(parse_target(many));
}

TEST(EncodePercent, ComesBack) {
  const std::string text = "a b/c?d&e=\xff+~";
  EXPECT_EQ(decode_percent(encode_percent(text), true), text);
}

TEST(ParseRange, Forms) {
  using Kind = ByteRange::Kind;
  const struct {
    const char* field;
    Kind kind;
    uint64_t offset, size;
  } kCases[] = {{"bytes=0-0", Kind::part, 0, 1},        {"bytes=500-1499", Kind::part, 500, 1000},
                {"bytes=500-", Kind::part, 500, 1548},  {"bytes=-500", Kind::part, 1548, 500},
                {"bytes=-5000", Kind::part, 0, 2048},   {"bytes=2000-5000", Kind::part, 2000, 48},
                {"bytes=500-0", Kind::unsatisfiable, 0, 0}, {"bytes=2048-", Kind::unsatisfiable, 0, 0},
                {"bytes=-0", Kind::unsatisfiable, 0, 0}, {"bytes=0-1,5-6", Kind::whole, 0, 2048},
                {"lines=0-1", Kind::whole, 0, 2048},    {"bytes=a-b", Kind::whole, 0, 2048},
                {"bytes=99999999999999999999-", Kind::whole, 0, 2048}, {"bytes=", Kind::whole, 0, 2048}};
  for (const auto& one : kCases) {
    const ByteRange range = parse_range(one.field, 2048);
    EXPECT_EQ(range.kind, one.kind) << one.field;
    EXPECT_EQ(range.offset, one.offset) << one.field;
    EXPECT_EQ(range.size_bytes, one.size) << one.field;
  }
  EXPECT_EQ(parse_range("bytes=0-", 0).kind, Kind::unsatisfiable);
}

TEST(ParseContentRange, Forms) {
  EXPECT_EQ(parse_content_range("0-99")->last, 99u);
  EXPECT_EQ(parse_content_range("bytes 5-9/100")->first, 5u);
  EXPECT_FALSE(parse_content_range("9-5"));
  EXPECT_FALSE(parse_content_range("-5"));
  EXPECT_FALSE(parse_content_range("x"));
  EXPECT_FALSE(parse_content_range("0-18446744073709551615"));
}

TEST(NamesTag, ListsAndWeakTags) {
  EXPECT_TRUE(names_tag("\"a\", W/\"b\"", "\"b\""));
  EXPECT_TRUE(names_tag("*", "\"b\""));
  EXPECT_FALSE(names_tag("\"bb\"", "\"b\""));
}

TEST(HttpDate, IsTheRfcsExample) { EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT"); }

TEST(ParseBasic, Forms) {
  EXPECT_EQ(parse_basic("Basic YWRhOnNlY3JldA=="), std::pair(std::string("ada"), std::string("secret")));
  EXPECT_EQ(parse_basic("basic YWRhOmE6Yg"), std::pair(std::string("ada"), std::string("a:b")));
  EXPECT_FALSE(parse_basic("Basic !!!"));
  EXPECT_FALSE(parse_basic("Basic YWRh"));
  EXPECT_FALSE(parse_basic("Bearer YWRhOnNlY3JldA=="));
  EXPECT_FALSE(parse_basic("Basic"));
}

}  // namespace
}  // namespace kist::http_server

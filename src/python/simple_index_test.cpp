#include "python/simple_index.h"

#include <gtest/gtest.h>

namespace kist::python {
namespace {

constexpr const char* kPage = "https://index.example/simple/six/";

TEST(SimpleIndexTest, ReadsHtml) {
  const auto files = parse_index_page(
      "<!DOCTYPE html><html><head><title>Links</title></head><body>\n"
      "<!-- <a href=\"no.whl\">no</a> --><abbr href=\"no\"></abbr>\n"
      "<a href=\"https://files.example/six-1.0-py3-none-any.whl#sha256=AB\" "
      "data-requires-python=\"&gt;=3.8\" data-yanked=\"\">six</a>\n"
      "<A class=x HREF = '../../f/six-1.0%2Bcu.tar.gz?x=1&amp;y=2#md5=00' >s</A>\n"
      "<a href=\"javascript:alert(1)\">j</a><a>none</a><a href=\"folder/\">f</a>"
      "<a href=\"https://u:p@files.example/six-2.zip\"",
      kPage);
  ASSERT_TRUE(files.has_value());
  ASSERT_EQ(files->size(), 3u);
  EXPECT_EQ((*files)[0].name, "six-1.0-py3-none-any.whl");
  EXPECT_EQ((*files)[0].hashes.at("sha256"), "ab");
  EXPECT_EQ((*files)[0].requires_python, ">=3.8");
  EXPECT_TRUE((*files)[0].yanked);
  EXPECT_EQ((*files)[1].name, "six-1.0+cu.tar.gz");
  EXPECT_EQ((*files)[1].url, "https://index.example/f/six-1.0%2Bcu.tar.gz?x=1&y=2");
  EXPECT_FALSE((*files)[1].yanked);
  EXPECT_EQ((*files)[2].url, "https://files.example/six-2.zip");
}

TEST(SimpleIndexTest, ReadsJson) {
  const auto files = parse_index_page(
      R"( {"meta":{"api-version":"1.1"},"name":"six","files":[
        {"filename":"six-1-py3-none-any.whl","url":"/f/six-1-py3-none-any.whl","hashes":{"sha256":"AB"},
         "size":11,"requires-python":null,"upload-time":"2024-01-01T00:00:00Z","yanked":false},
        {"filename":"six-2.tar.gz","url":"six-2.tar.gz","hashes":{},"yanked":"broken","size":-1},
        {"url":"data:x"}, 7]})",
      kPage);
  ASSERT_TRUE(files.has_value());
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].url, "https://index.example/f/six-1-py3-none-any.whl");
  EXPECT_EQ((*files)[0].size_bytes, 11u);
  EXPECT_EQ((*files)[0].locked().hashes.at("sha256"), "ab");
  EXPECT_EQ((*files)[1].url, "https://index.example/simple/six/six-2.tar.gz");
  EXPECT_TRUE((*files)[1].yanked);
  EXPECT_FALSE((*files)[1].size_bytes.has_value());
}

TEST(SimpleIndexTest, RefusesWhatIsNone) {
  EXPECT_EQ(parse_index_page("{\"a\": 1}", "https://u:p@e/").error().message(),
            "'https://e/' is no page of a package index (PEP 691): it has no 'files'");
  EXPECT_FALSE(parse_index_page("{" + std::string(100000, '['), kPage).has_value());
  EXPECT_TRUE(parse_index_page("", kPage)->empty());
  for (const char* cut :
       {"<a", "<a href", "<a href=", "<a href=\"", "<a href='x", "<!--", "<a href=\"x\" "})
    EXPECT_TRUE(parse_index_page(cut, kPage).has_value()) << cut;
}

TEST(SimpleIndexTest, ResolvesLinks) {
  const struct {
    const char* page;
    const char* link;
    const char* want;
  } cases[] = {
      {kPage, "a.whl", "https://index.example/simple/six/a.whl"},
      {kPage, "../../f/a.whl#x", "https://index.example/f/a.whl#x"},
      {kPage, "../../../../../a", "https://index.example/a"},
      {kPage, "/a/./b", "https://index.example/a/b"},
      {kPage, "//other.example/a", "https://other.example/a"},
      {kPage, "http://other.example/a", "http://other.example/a"},
      {kPage, "?q=1", "https://index.example/simple/six/?q=1"},
      {"https://index.example", "a", "https://index.example/a"},
      {"https://index.example/x?y=/z", "a", "https://index.example/a"},
      {"file:///srv/simple/six/index.html", "../a.whl", "file:///srv/simple/a.whl"},
  };
  for (const auto& c : cases) EXPECT_EQ(resolve_url(c.page, c.link), c.want) << c.link;
}

}  // namespace
}  // namespace kist::python

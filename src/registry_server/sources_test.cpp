// What other servers answer, which is as little to be trusted as what clients send.
#include <gtest/gtest.h>

#include "registry_server/document_cache.h"
#include "registry_server/s3_storage.h"
#include "registry_server/upstream_registry.h"

namespace kist::registry_server {
namespace {

TEST(XmlTexts, FlatListsWithEntities) {
  const std::string xml = "<L><Key>a&amp;b</Key><X/><Key></Key><Key>&lt;c&gt;</Key><Key>cut";
  EXPECT_EQ(xml_texts(xml, "Key"), (std::vector<std::string>{"a&b", "", "<c>"}));
  EXPECT_TRUE(xml_texts(xml, "Other").empty());
  EXPECT_EQ(xml_texts("<K>&amp;lt;</K>", "K").front(), "&lt;") << "resolved once";
}

TEST(ChallengeFields, QuotedAndBare) {
  auto fields = challenge_fields("Bearer realm=\"https://h/t?a=1,2\",service=s , Scope=\"repository:a:pull\"");
  EXPECT_EQ(fields["realm"], "https://h/t?a=1,2");
  EXPECT_EQ(fields["service"], "s");
  EXPECT_EQ(fields["scope"], "repository:a:pull");
  for (const char* odd : {"", "Basic realm=\"x\"", "Bearer", "Bearer realm", "Bearer realm=\"x", "Bearer =,=,="})
    EXPECT_EQ(challenge_fields(odd).count("realm"), 0u) << odd;
}

TEST(DocumentCache, HoldsToItsLimit) {
  DocumentCache cache(800);
  const auto digest = [](int i) { return Hasher::of(Algorithm::sha256, std::to_string(i)); };
  for (int i = 0; i < 20; ++i) cache.add(digest(i), std::string(100, 'x'));
  EXPECT_EQ(cache.find(digest(0)), nullptr);
  EXPECT_NE(cache.find(digest(19)), nullptr);
  EXPECT_NE(cache.add(digest(50), std::string(101, 'x')), nullptr);
  EXPECT_EQ(cache.find(digest(50)), nullptr) << "larger than an eighth of all";
}

}  // namespace
}  // namespace kist::registry_server

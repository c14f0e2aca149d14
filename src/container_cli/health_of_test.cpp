#include "container_cli/health_of.h"

#include <gtest/gtest.h>

namespace kist::container_cli {
namespace {

TEST(SpanTest, AsGoSpellsThem) {
  const struct {
    const char* text;
    std::optional<int64_t> ns;
  } cases[] = {{"30s", 30'000'000'000},    {"1m30s", 90'000'000'000}, {"500ms", 500'000'000}, {"1.5h", 5'400'000'000'000},
               {"0", 0},                   {"0s", 0},                 {"", std::nullopt},     {"30", std::nullopt},
               {"s", std::nullopt},        {"-1s", std::nullopt},     {"1x", std::nullopt},   {"1.2.3s", std::nullopt},
               {"9999999999h", std::nullopt}};
  for (const auto& c : cases) EXPECT_EQ(parse_span(c.text), c.ns) << c.text;
}

}  // namespace
}  // namespace kist::container_cli

#include "registry/rate_limit.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace kist::registry {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

TEST(RateLimitTest, AllWhoTakeAreWithinItTogether) {
  RateLimit limit(1'000'000);
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 5; ++k) limit.take(10'000);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(seconds_since(begin), 0.199);
}

TEST(RateLimitTest, APauseGivesNoBurst) {
  RateLimit limit(1'000'000);
  limit.take(1'000);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto begin = Clock::now();
  limit.take(50'000);
  EXPECT_GE(seconds_since(begin), 0.049);
}

TEST(RateLimitTest, GivesThePiecesOfTheSource) {
  int left = 3;
  const Source source = limited([&]() -> Result<std::string_view> { return std::string_view(left-- > 0 ? "abc" : ""); },
                                std::make_shared<RateLimit>(100));
  const auto begin = Clock::now();
  std::string all;
  for (std::string_view piece = source().value(); !piece.empty(); piece = source().value()) all += piece;
  EXPECT_EQ(all, "abcabcabc");
  EXPECT_GE(seconds_since(begin), 0.089);
}

}  // namespace
}  // namespace kist::registry

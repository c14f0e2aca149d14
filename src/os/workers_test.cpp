#include "os/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace kist::os {
namespace {

TEST(WorkersTest, EveryItemRunsOnceWithAnyNumberOfThreads) {
  for (const unsigned threads : {0u, 1u, 4u}) {
    SCOPED_TRACE(threads);
    Workers workers(threads);
    std::vector<std::atomic<int>> calls(1000);
    const auto done = workers.for_each(calls.size(), [&](size_t i) -> Result<void> {
      ++calls[i];
      return {};
    });
    EXPECT_TRUE(done.has_value());
    for (const auto& count : calls) EXPECT_EQ(count, 1);
  }
}

// Goal: a batch inside a batch cannot wait for a thread that waits for it. Method: more nested
// batches than threads; a deadlock would hang the test.
TEST(WorkersTest, BatchesNest) {
  Workers workers(2);
  std::atomic<int> sum = 0;
  const auto done = workers.for_each(20, [&](size_t) -> Result<void> {
    return workers.for_each(20, [&](size_t) -> Result<void> {
      ++sum;
      return {};
    });
  });
  EXPECT_TRUE(done.has_value());
  EXPECT_EQ(sum, 400);
}

TEST(WorkersTest, FailureStopsTheBatchAndIsReturned) {
  Workers workers(0);
  int calls = 0;
  const auto done = workers.for_each(10, [&](size_t i) -> Result<void> {
    ++calls;
    if (i == 3) return Error(Code::invalid, "item {} is bad", i);
    return {};
  });
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().message(), "item 3 is bad");
  EXPECT_EQ(calls, 4);
}

TEST(WorkersTest, AtLeastOneCore) { EXPECT_GE(core_count(), 1u); }

}  // namespace
}  // namespace kist::os

#include "http/retry.h"

#include <gtest/gtest.h>

namespace kist::http {
namespace {

TEST(RetryTest, BackOffDoublesAndEnds) {
  constexpr Milliseconds kFirst{250};
  EXPECT_EQ(back_off(kFirst, 1, 0).count(), 250);
  EXPECT_EQ(back_off(kFirst, 2, 0).count(), 500);
  EXPECT_EQ(back_off(kFirst, 4, 0).count(), 2000);
  EXPECT_EQ(back_off(kFirst, 1000, 0).count(), 8000);
  EXPECT_EQ(back_off(kFirst, 1, 124).count(), 374);
  EXPECT_EQ(back_off(kFirst, 1, 125).count(), 250);
  EXPECT_EQ(back_off(Milliseconds(0), 1, 7).count(), 2);
}

TEST(RetryTest, WhatMayPass) {
  for (const int status : {408, 425, 429, 500, 502, 503, 504, 507, 522})
    EXPECT_TRUE(may_pass(status)) << status;
  for (const int status : {200, 301, 400, 401, 403, 404, 407, 410, 416, 501, 505})
    EXPECT_FALSE(may_pass(status)) << status;
}

TEST(RetryTest, RetryAfterIsSecondsOrADate) {
  constexpr int64_t kNow = 1735689600;  // 2025-01-01
  const auto parse = [](const char* text) {
    const auto got = parse_retry_after(text, kNow);
    return got ? got->count() : -1;
  };
  EXPECT_EQ(parse("0"), 0);
  EXPECT_EQ(parse(" 120 "), 120);
  EXPECT_EQ(parse("99999999999999"), 1 << 30);
  EXPECT_EQ(parse("Wed, 01 Jan 2025 00:00:30 GMT"), 30);
  EXPECT_EQ(parse("Tue, 31 Dec 2024 00:00:00 GMT"), 0);
  EXPECT_EQ(parse("soon"), -1);
  EXPECT_EQ(parse("-5"), -1);
  EXPECT_EQ(parse(""), -1);
}

}  // namespace
}  // namespace kist::http

#include "debian/java_keystore.h"

#include <gtest/gtest.h>

namespace kist::debian {
namespace {

// Made by `keytool -importcert -storetype JKS -storepass changeit` would be 1.5 kB; this is by hand, and
// the signatures are of another program.
std::string bytes_of(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

constexpr std::string_view kFirst =
    "feedfeed000000020000000200000002000162000001a0c4506c000005582e353039000000066365"
    "7274206200000002000161000001a0c4506c010005582e35303900000006636572742061acd05d6f"
    "c31598d742f089f170bc22cc494d8b91";
constexpr std::string_view kLater =
    "feedfeed000000020000000200000002000161000001a3185c50010005582e353039000000066365"
    "7274206100000002000162000001a3185c50000005582e35303900000006636572742062c4ea8d3d"
    "27f2ddf07b92f710ea98b4a33763995f";
constexpr std::string_view kUndated =
    "feedfeed00000002000000020000000200016100000049773870000005582e353039000000066365"
    "727420610000000200016200000049773870000005582e35303900000006636572742062ae08fac5"
    "2d54871ecb357b343e245992e4eecb29";

TEST(JavaKeystoreTest, DatesAndOrderGo) {
  const auto first = undated_keystore(bytes_of(kFirst));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(*first, bytes_of(kUndated));
  EXPECT_EQ(undated_keystore(bytes_of(kLater)), first) << "another day, another order";
  EXPECT_EQ(undated_keystore(*first), first);
}

TEST(JavaKeystoreTest, WhatIsNoSuchStoreIsLeftAlone) {
  const std::string good = bytes_of(kFirst);
  EXPECT_EQ(undated_keystore(""), std::nullopt);
  EXPECT_EQ(undated_keystore("-----BEGIN CERTIFICATE-----\nsomething long enough to be looked at\n"), std::nullopt);
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(undated_keystore(std::string_view(good).substr(0, size)), std::nullopt) << size;
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    EXPECT_EQ(undated_keystore(bad), std::nullopt) << at;
  }
}

}  // namespace
}  // namespace kist::debian

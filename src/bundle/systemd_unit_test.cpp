#include "bundle/systemd_unit.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "bundle/cgroup_devices.h"

namespace kist::bundle {
namespace {

TEST(SystemdUnitTest, AsRuncNamesThem) {
  const auto given = systemd_unit_of("machine.slice:libpod:4f", "x", false);
  ASSERT_TRUE(given);
  EXPECT_EQ(given->slice, "machine.slice");
  EXPECT_EQ(given->name, "libpod-4f.scope");
  EXPECT_EQ(systemd_unit_of(":docker:4f", "x", false)->slice, "system.slice");
  EXPECT_EQ(systemd_unit_of("::4f", "x", true)->slice, "user.slice");
  EXPECT_EQ(systemd_unit_of("::4f", "x", true)->name, "4f.scope");
  EXPECT_EQ(systemd_unit_of("", "x", false)->name, "kist-x.scope");
}

TEST(SystemdUnitTest, WhatIsNoUnit) {
  for (const char* path : {"/a/b", "a.slice:b", "a.slice:b:c:d", "a:b:c", "a.slice:b:", "a.slice:b:c.slice",
                           "../a.slice:b:c", "a.slice:b:c d", "a.slice:b:c\n"})
    EXPECT_FALSE(systemd_unit_of(path, "x", false)) << path;
}

std::map<std::string, std::string> words(const std::vector<UnitProperty>& properties) {
  std::map<std::string, std::string> out;
  for (const UnitProperty& one : properties) {
    std::string text = one.signature;
    for (const std::string& word : one.words) text += " " + word;
    out[one.name] = text;
  }
  return out;
}

TEST(SystemdUnitTest, LimitsOfVersion2) {
  Resources resources;
  resources.memory.limit = 100;
  resources.memory.swap = 150;
  resources.cpu.quota_us = 33'333;
  resources.cpu.cpus = "0-1,9";
  resources.pids = 7;
  resources.unified["memory.high"] = "max";
  auto got = words(limit_properties(resources, 2).value());
  EXPECT_EQ(got["MemoryMax"], "t 100");
  EXPECT_EQ(got["MemorySwapMax"], "t 50");
  EXPECT_EQ(got["CPUQuotaPerSecUSec"], "t 340000");
  EXPECT_EQ(got["CPUQuotaPeriodUSec"], "t 100000");
  EXPECT_EQ(got["AllowedCPUs"], "ay 2 3 2");
  EXPECT_EQ(got["TasksMax"], "t 7");
  EXPECT_EQ(got["MemoryHigh"], "t 18446744073709551615");
  for (const char* list : {"x", "3-1", "1-", "99999", "0,,1"}) {
    resources.cpu.cpus = list;
    EXPECT_FALSE(limit_properties(resources, 2)) << list;
  }
}

TEST(SystemdUnitTest, LimitsOfVersion1) {
  Resources resources;
  resources.memory.limit = -1;
  resources.cpu.shares = 512;
  resources.pids = -1;
  auto got = words(limit_properties(resources, 1).value());
  EXPECT_EQ(got["MemoryLimit"], "t 18446744073709551615");
  EXPECT_EQ(got["CPUShares"], "t 512");
  EXPECT_EQ(got["TasksMax"], "t 18446744073709551615");
}

TEST(SystemdUnitTest, DevicesThatAreAListOfWhatIsAllowed) {
  const DeviceRule none{.allow = false, .type = 'a', .read = true, .write = true, .make = true};
  const DeviceRule null{.allow = true, .type = 'c', .major = 1, .minor = 3, .read = true, .write = true};
  const DeviceRule disks{.allow = true, .type = 'b', .major = 8, .read = true};
  auto got = words(device_properties({none, null, disks}));
  EXPECT_EQ(got["DevicePolicy"], "s strict");
  EXPECT_EQ(got["DeviceAllow"], "a(ss) 2 /dev/char/1:3 rw block-8 r");
  DeviceRule denied = null;
  denied.allow = false;
  EXPECT_TRUE(device_properties({none, disks, denied}).empty());
  EXPECT_TRUE(device_properties({null}).empty());
}

std::string annotated(const std::string& name, const std::string& value) {
  const auto got = annotated_properties({{"org.systemd.property." + name, value}, {"other", "'x'"}});
  if (!got) return "error";
  if (got->size() != 1) return "another number";
  return got->front().name + " " + words(*got)[got->front().name];
}

TEST(SystemdUnitTest, PropertiesOfAnnotations) {
  EXPECT_EQ(annotated("TimeoutStopUSec", "uint64 5"), "TimeoutStopUSec t 5");
  EXPECT_EQ(annotated("TimeoutStopSec", "1.5"), "TimeoutStopUSec t 1500000");
  EXPECT_EQ(annotated("CollectMode", "'inactive'"), "CollectMode s inactive");
  EXPECT_EQ(annotated("Description", "\"it's\""), "Description s it's");
  EXPECT_EQ(annotated("IPAccounting", "true"), "IPAccounting b true");
  EXPECT_EQ(annotated("Nice", "-5"), "Nice i -5");
  EXPECT_EQ(annotated("After", "['a.service', 'b,c.mount']"), "After as 2 a.service b,c.mount");
}

TEST(SystemdUnitTest, WhatIsNoValue) {
  for (const char* value : {"", "x", "'open", "uint64 x", "uint64 1.5", "[", "[]", "['a', 5]", "5 6", "'a' 'b'", "(1, 2)"})
    EXPECT_EQ(annotated("Some", value), "error") << value;
  EXPECT_EQ(annotated("Bad Name", "5"), "error");
  EXPECT_EQ(annotated("", "5"), "error");
  for (const char* value : {"'x'", "-5", "1e99", "[5]", "true"})
    EXPECT_EQ(annotated("TimeoutStopSec", value), "error") << value;
}

}  // namespace
}  // namespace kist::bundle

#include "containers/record.h"

#include <gtest/gtest.h>

namespace kist::containers {
namespace {

Record full() {
  Record r;
  r.id = std::string(64, 'a');
  r.name = "web";
  r.created_ns = 1'700'000'000'123'456'789;
  r.image = "busybox";
  r.entrypoint = {"/bin/sh", "-c"};
  r.command = {"echo \"hi\"\n", ""};
  r.env = {"A=b c", "E=\xc3\xa4", "B=\xff\xfe"};
  r.mounts = {{.type = "bind", .source = "/a b", .destination = "/c", .read_only = true}};
  r.ulimits = {{"nofile", 1024, UINT64_MAX}};
  r.ports = {{"127.0.0.1", 8080, 80, "tcp"}};
  r.limits.cpus = 1.5;
  r.limits.memory_swap_bytes = -1;
  r.limits.memory_swappiness = 0;
  r.limits.write_bps = {{"/dev/sda", 1 << 20}};
  r.annotations = {{"a", "b"}};
  r.links = {"abc:db"};
  r.restart = {"on-failure", 3};
  r.health.test = {"CMD-SHELL", "true"};
  r.labels = {{"a.b", "c"}, {"", "x"}};
  r.sysctls = {{"net.core.somaxconn", "1024"}};
  return r;
}

TEST(RecordTest, ComesBack) {
  const auto back = decode_record(encode(full()));
  ASSERT_TRUE(back.has_value()) << back.error().render();
  EXPECT_EQ(*back, full());
  EXPECT_EQ(back->args(), (std::vector<std::string>{"/bin/sh", "-c", "echo \"hi\"\n", ""}));
}

TEST(RecordTest, WhatALaterKistAddsIsPassedOver) {
  std::string text = encode(full());
  text.insert(1, "\"new\": {\"x\": [1]}, ");
  EXPECT_TRUE(decode_record(text).has_value());
}

TEST(RecordTest, RefusesWhatIsNoRecord) {
  const struct {
    const char* text;
    const char* message;
  } kCases[] = {
      {"", "the container's record is not JSON: incomplete JSON"},
      {"[]", "the container's record is not JSON: no object"},
      {"{}", "the container's record has another version than 1"},
      {"{\"version\": 2}", "the container's record has another version than 1"},
      {"{\"version\": 1, \"env\": \"A=b\"}", "the container's record: env has the wrong type"},
      {"{\"version\": 1, \"limits\": {\"pids\": 1e300}}", "the container's record: pids has the wrong type"},
      {"{\"version\": 1, \"mounts\": [1]}", "the container's record: mounts has the wrong type"},
  };
  for (const auto& c : kCases) {
    const auto got = decode_record(c.text);
    ASSERT_FALSE(got.has_value()) << c.text;
    EXPECT_EQ(got.error().message(), c.message);
  }
}

}  // namespace
}  // namespace kist::containers

#include "events/events.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "os/files.h"

namespace kist::events {
namespace {

class EventsTest : public testing::Test {
 protected:
  void SetUp() override { folder_.emplace(std::move(*os::TempDir::make("/tmp", "kist-events."))); }
  const std::string& home() const { return folder_->path(); }
  std::vector<Event> all(int64_t since = 1) {
    std::vector<Event> out;
    EXPECT_TRUE(follow(home(), {.since_ns = since, .until_ns = 9'000'000'000}, [&](const Event& e) {
      out.push_back(e);
      return true;
    }));
    return out;
  }
  std::optional<os::TempDir> folder_;
};

Event event(int64_t time, std::string id) { return {time, "container", "start", std::move(id), {{"name", "web"}}}; }

TEST_F(EventsTest, WhatIsWrittenIsRead) {
  const Event odd{7, "volume", "exec: a\nb\"", "x y", {{"k\n", "\xff v"}}};
  write(home(), odd);
  write(home(), event(9, "b"));
  EXPECT_EQ(all(), (std::vector<Event>{odd, event(9, "b")}));
  EXPECT_EQ(all(8), (std::vector<Event>{event(9, "b")}));
}

TEST_F(EventsTest, OddLinesArePassedOver) {
  write(home(), event(1, "a"));
  std::ofstream(home() + "/events/journal", std::ios::app)
      << "\n{}\nnonsense\n{\"time\":\"x\",\"type\":\"a\",\"action\":\"b\",\"id\":\"c\"}\n";
  write(home(), event(2, "b"));
  EXPECT_EQ(all().size(), 2u);
  EXPECT_EQ(decode("[1]").error().code(), Code::corrupt);
}

// Goal: lines of several writers never mix. Method: four processes write 200 each.
TEST_F(EventsTest, ManyWriters) {
  write(home(), event(1, "first"));
  for (int p = 0; p < 4; ++p) {
    if (::fork() != 0) continue;
    for (int i = 0; i < 200; ++i) write(home(), event(2, std::string(300, static_cast<char>('a' + p))));
    ::_exit(0);
  }
  for (int p = 0; p < 4; ++p) {
    int how = 0;
    ASSERT_GT(::wait(&how), 0);
  }
  EXPECT_EQ(all().size(), 801u);
}

TEST_F(EventsTest, TheJournalIsBounded) {
  const Event large{1, "container", "start", std::string(100'000, 'x'), {}};
  for (int i = 0; i < 120; ++i) write(home(), large);
  const auto size = [&](const char* name) {
    const auto stamp = os::stamp(home() + "/events/" + name);
    return stamp ? stamp->size_bytes : 0;
  };
  EXPECT_LT(size("journal"), 5u << 20);
  EXPECT_GT(size("journal.1"), 4u << 20);
  EXPECT_LT(size("journal.1"), 5u << 20);
  EXPECT_GT(all().size(), 41u) << "the one before is read too";
}

TEST_F(EventsTest, FollowsOverARotation) {
  const int64_t soon = [] {
    timespec now = {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
  }();
  std::thread writer([&] {
    for (int i = 0; i < 60; ++i) write(home(), {0, "container", "start", std::string(100'000, 'x'), {}});
    write(home(), {0, "container", "last", "y", {}});
  });
  size_t seen = 0;
  EXPECT_TRUE(follow(home(), {.since_ns = soon, .until_ns = soon + 20'000'000'000}, [&](const Event& e) {
    ++seen;
    return e.action != "last";
  }));
  writer.join();
  EXPECT_EQ(seen, 61u);
}

}  // namespace
}  // namespace kist::events

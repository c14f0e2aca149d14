#include "bundle/state_folder.h"

#include <gtest/gtest.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle/spec_reader.h"
#include "bundle/start_socket.h"
#include "bundle/sync.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

struct StateFolderTest : ::testing::Test {
  os::TempDir folder = os::TempDir::make("/tmp", "state.").value();
  std::string root = folder.path();

  static Record record_of(const std::string& id) {
    Record record;
    record.state.id = id;
    record.namespaces = CLONE_NEWPID;
    return record;
  }
};

TEST_F(StateFolderTest, RecordsAreReadAsTheyWereWritten) {
  Record record = record_of("web");
  record.state.pid = 5;
  record.state.annotations = {{"a\"b", "c\nd"}};
  record.start_time = 1ull << 60;
  record.chrooted = true;
  record.cgroups = {{.version = 1, .controllers = {"cpu", "cpuacct"}, .path = "/x/y", .mount_point = "/x"}};
  const auto read = parse_record(record_text(record));
  ASSERT_TRUE(read) << read.error().render();
  EXPECT_EQ(read->state.annotations, record.state.annotations);
  EXPECT_EQ(read->start_time, record.start_time);
  EXPECT_TRUE(read->chrooted);
  EXPECT_EQ(read->cgroups[0].controllers, record.cgroups[0].controllers);
}

TEST_F(StateFolderTest, NonsenseIsCorrupt) {
  for (const char* text : {"", "{", "[]", R"({"pid":"x"})", R"({"cgroups":{}})"}) {
    const auto read = parse_record(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code(), Code::corrupt);
  }
}

TEST_F(StateFolderTest, Ids) {
  for (const char* id : {"a", "A-b_c+d.9", "0"}) EXPECT_TRUE(check_id(id)) << id;
  for (const std::string& id : std::vector<std::string>{"", ".", "..", ".x", "a/b", "a b", "ä", std::string(256, 'a')})
    EXPECT_FALSE(check_id(id)) << id;
}

TEST_F(StateFolderTest, ANameIsTakenOnce) {
  const auto first = StateFolder::claim(root, "c");
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->write_draft(record_of("c")));
  EXPECT_EQ(StateFolder::claim(root, "c").error().code(), Code::exists) << "while it is being made";
  ASSERT_TRUE(first->commit());
  EXPECT_EQ(StateFolder::claim(root, "c").error().code(), Code::exists);
  EXPECT_EQ(StateFolder::claim(root, "c").error().message(), "container with id 'c' exists already");
  ASSERT_TRUE(first->remove());
  EXPECT_TRUE(StateFolder::claim(root, "c"));
}

TEST_F(StateFolderTest, AShorterDraftReplacesALongerOne) {
  const auto taken = StateFolder::claim(root, "c");
  Record record = record_of("c");
  record.cgroups = {{.version = 1, .controllers = {"cpu"}, .path = "/a/long/path", .mount_point = "/a"}};
  ASSERT_TRUE(taken->write_draft(record));
  record.cgroups.clear();
  record.state.pid = 7;
  ASSERT_TRUE(taken->write_draft(record));
  const auto draft = read_draft(root, "c");
  ASSERT_TRUE(draft);
  EXPECT_TRUE(draft->cgroups.empty());
  EXPECT_EQ(draft->state.pid, 7);
}

TEST_F(StateFolderTest, WhatACrashLeftIsTakenOver) {
  for (const bool draft : {false, true}) {
    {
      const auto dead = StateFolder::claim(root, "c");
      if (draft) {
        ASSERT_TRUE(dead->write_draft(record_of("c")));
      }
    }  // The lock goes with the process.
    const auto next = StateFolder::claim(root, "c");
    ASSERT_TRUE(next) << next.error().render();
    EXPECT_FALSE(os::exists(root + "/c/creating.json"));
    ASSERT_TRUE(next->remove());
  }
}

TEST_F(StateFolderTest, AProcessIsKnownByWhenItBegan) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    while (true) ::pause();
  }
  Record record = record_of("c");
  record.state.pid = pid;
  record.start_time = start_time_of(pid);
  EXPECT_NE(record.start_time, 0u);
  EXPECT_TRUE(is_alive(record));
  Record other = record;
  other.start_time += 1;  // Another that was given the same number.
  EXPECT_FALSE(is_alive(other));
  ::kill(pid, SIGKILL);
  siginfo_t info = {};
  ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(is_alive(record)) << "a process that nobody has reaped yet is no container";
  ::waitpid(pid, nullptr, 0);
}

TEST_F(StateFolderTest, MissingOnesAreNotFound) {
  EXPECT_EQ(read_record(root, "c").error().message(), "container 'c' does not exist");
  EXPECT_EQ(StateFolder::lock(root, "c").error().code(), Code::not_found);
  EXPECT_TRUE(list_ids(root + "/nowhere")->empty());
}

TEST_F(StateFolderTest, WhetherSomebodyWaitsIsForTheKernelToSay) {
  EXPECT_FALSE(is_waiting_to_start(root));
  auto listener = listen_for_start(root);
  ASSERT_TRUE(listener);
  EXPECT_TRUE(is_waiting_to_start(root));
  *listener = os::Fd();
  EXPECT_FALSE(is_waiting_to_start(root)) << "the name is there, but nobody listens";
  EXPECT_FALSE(start_waiting(root));
}

TEST_F(StateFolderTest, WhatGoesWrongAtTheStartIsTold) {
  const os::Fd listener = std::move(*listen_for_start(root));
  const pid_t pid = ::fork();
  if (pid == 0) {
    const auto connection = wait_for_start(listener);
    const Error error = Error(Code::not_found, "inner").context("outer").hint("`try this`");
    ::_exit(connection && send(*connection, Step::failed, 0, packed(error)) ? 0 : 1);
  }
  (void)is_waiting_to_start(root);  // Somebody who only looks.
  const auto started = start_waiting(root);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::not_found);
  EXPECT_EQ(started.error().frames(), (std::vector<std::string>{"inner", "outer"}));
  EXPECT_EQ(started.error().hint_text(), "`try this`");
  ::waitpid(pid, nullptr, 0);
}

}  // namespace
}  // namespace kist::bundle

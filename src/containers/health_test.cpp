#include "containers/health.h"

#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <csignal>

namespace kist::containers {
namespace {

constexpr int64_t kMs = 1'000'000;

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// A probe is a shell of this process, in a session of its own, as the runtime makes it.
class Probes : public Machine {
 public:
  Result<Started> start(const Record&, const Streams&) override { return Error(Code::unsupported, "none"); }
  Result<void> signal(int) override { return {}; }
  void ended(Status&) override {}
  Result<Started> probe(const Record&, const std::vector<std::string>& args, const os::Fd& output) override {
    ++begun;
    seen = args;
    if (args[0] == "missing") return Error(Code::not_found, "exec: 'missing' is not in the image");
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setsid();
      ::dup2(output.get(), 1);
      ::dup2(output.get(), 2);
      std::vector<char*> raw;
      for (const std::string& arg : args) raw.push_back(const_cast<char*>(arg.c_str()));
      raw.push_back(nullptr);
      ::execv(raw[0], raw.data());
      ::_exit(127);
    }
    return Started{pid, os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), {}};
  }
  int begun = 0;
  std::vector<std::string> seen;
};

class HealthTest : public testing::Test {
 protected:
  void begin(const std::string& command) {
    record_.health.test = {"CMD-SHELL", command};
    if (record_.health.interval_ns == 0) record_.health.interval_ns = 5 * kMs;
    ASSERT_TRUE(place_.make(record_, status_));
    monitor_.emplace(place_, record_, machine_, status_);
    monitor_->container_began();
  }
  void TearDown() override {
    if (monitor_) monitor_->container_ended();
  }
  // As the supervisor's loop, until `done` or for at most that long.
  bool run(const std::function<bool()>& done, int64_t limit_ms = 5000) {
    const int64_t end = now_ns() + limit_ms * kMs;
    while (!done() && now_ns() < end) {
      std::vector<pollfd> events;
      monitor_->add_to(events);
      ::poll(events.data(), events.size(), 1);
      monitor_->look_at(events, 0);
      if (now_ns() >= monitor_->deadline()) monitor_->on_time();
    }
    return done();
  }
  std::vector<ProbeResult> results() { return read_probes(place_, record_.id); }
  std::string written() { return place_.status(record_.id)->health; }

  os::TempDir folder_ = std::move(*os::TempDir::make("/tmp", "kist-health."));
  Place place_{folder_.path()};
  Record record_;
  Status status_;
  Probes machine_;
  std::optional<HealthMonitor> monitor_;
};

TEST_F(HealthTest, NoneCostsNothing) {
  begin("true");
  record_.health.test = {"NONE"};
  monitor_.emplace(place_, record_, machine_, status_);
  monitor_->container_began();
  EXPECT_EQ(monitor_->deadline(), INT64_MAX);
  EXPECT_EQ(status_.health, "");
  std::vector<pollfd> events;
  monitor_->add_to(events);
  EXPECT_TRUE(events.empty());
}

TEST_F(HealthTest, FromStartingToHealthyAndBack) {
  const std::string flag = folder_.path() + "/flag";
  record_.health.retries = 2;
  begin("echo looked; test -e " + flag);
  EXPECT_EQ(status_.health, "starting");
  ASSERT_TRUE(run([&] { return status_.health == "unhealthy"; }));
  EXPECT_EQ(written(), "unhealthy");
  EXPECT_EQ(status_.health_failures, 2u);
  EXPECT_EQ(results().back().output, "looked\n");
  EXPECT_EQ(results().back().exit_code, 1);
  (void)os::write_file_atomically(flag, "");
  ASSERT_TRUE(run([&] { return status_.health == "healthy"; }));
  EXPECT_EQ(status_.health_failures, 0u);
  ASSERT_TRUE(run([&] { return machine_.begun > 12; }));
  EXPECT_EQ(results().size(), 5u) << "only the last are kept";
}

TEST_F(HealthTest, FailuresDoNotCountWhileItStarts) {
  record_.health.retries = 1;
  record_.health.start_period_ns = 5000 * kMs;
  record_.health.start_interval_ns = 5 * kMs;
  record_.health.interval_ns = 10'000 * kMs;
  begin("false");
  EXPECT_TRUE(run([&] { return machine_.begun > 5; }, 4500));
  EXPECT_EQ(status_.health, "starting");
  EXPECT_EQ(status_.health_failures, 0u);
}

// Goal: a check that hangs is ended with all it started, and the next comes only then.
TEST_F(HealthTest, OneThatHangsIsKilledWithItsGroup) {
  record_.health.timeout_ns = 1000 * kMs;  // Long enough for a busy machine to have begun it.
  record_.health.retries = 1;
  begin("sleep 20 & echo $! > " + folder_.path() + "/child; sleep 20");
  ASSERT_TRUE(run([&] { return status_.health == "unhealthy"; }));
  EXPECT_EQ(machine_.begun, 1);
  EXPECT_EQ(results().back().exit_code, -1);
  EXPECT_EQ(results().back().output, "Health check exceeded timeout (1s)");
  const auto written = os::read_file(folder_.path() + "/child");
  ASSERT_TRUE(written.has_value());
  const auto child = std::stoi(*written);
  EXPECT_TRUE(run([&] { return ::kill(child, 0) != 0 || start_of_process(child) == 0; }, 2000));
}

TEST_F(HealthTest, OutputIsBoundedAndNobodyWaitsForIt) {
  begin("head -c 1000000 /dev/zero | tr '\\0' x; sleep 20 &");
  ASSERT_TRUE(run([&] { return status_.health == "healthy"; })) << "what is left in the background holds nothing up";
  EXPECT_EQ(results().back().output, std::string(4096, 'x'));
}

TEST_F(HealthTest, WhatCannotBeStartedHasFailed) {
  record_.health.retries = 1;
  begin("true");
  record_.health.test = {"CMD", "missing", "x"};
  ASSERT_TRUE(run([&] { return status_.health == "unhealthy"; }));
  EXPECT_EQ(machine_.seen, (std::vector<std::string>{"missing", "x"}));
  EXPECT_EQ(results().back().output, "exec: 'missing' is not in the image");
}

TEST_F(HealthTest, APausedContainerIsLeftAlone) {
  begin("true");
  status_.phase = Phase::paused;
  ASSERT_TRUE(place_.write(status_));
  const auto alive = place_.look_after(record_.id);
  EXPECT_FALSE(run([&] { return machine_.begun > 0; }, 60));
  status_.phase = Phase::running;
  ASSERT_TRUE(place_.write(status_));
  EXPECT_TRUE(run([&] { return machine_.begun > 0; }));
}

TEST_F(HealthTest, TheEndOfTheContainerEndsTheCheck) {
  begin("sleep 20");
  ASSERT_TRUE(run([&] { return machine_.begun == 1; }));
  monitor_->container_ended();
  EXPECT_EQ(monitor_->deadline(), INT64_MAX);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "nothing is left of it";
}

TEST_F(HealthTest, ADamagedFileIsNone) {
  begin("true");
  (void)os::write_file_atomically(place_.file_of(record_.id, "health"), "[{\"start\":\"x\"}, 7, {");
  EXPECT_TRUE(results().empty());
}

}  // namespace
}  // namespace kist::containers

#include "containers/supervisor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/text.h"
#include "containers/control.h"
#include "containers/log_reader.h"

namespace kist::containers {
namespace {

using testing::HasSubstr;

// Stands in for a container: a child of this process, without any namespace.
class PlainProcess : public Machine {
 public:
  Result<Started> start(const Record& record, const Streams& streams) override {
    if (record.command[0] == "missing") return Error(Code::not_found, "exec: 'missing' is not in the image");
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::dup2(streams.input.get(), 0);
      ::dup2(streams.output.get(), 1);
      ::dup2(streams.error.get(), 2);
      sigset_t none;
      ::sigemptyset(&none);
      ::sigprocmask(SIG_SETMASK, &none, nullptr);
      ::execl("/bin/sh", "sh", "-c", record.command[0].c_str(), nullptr);
      ::_exit(127);
    }
    pid_ = pid;
    return Started{pid, os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), {}};
  }
  Result<void> signal(int number) override {
    ::kill(pid_, number);
    return {};
  }
  void ended(Status& status) override { status.memory_peak_bytes = 42; }
  Result<Started> probe(const Record&, const std::vector<std::string>&, const os::Fd&) override {
    return Error(Code::unsupported, "no probes here");
  }

 private:
  pid_t pid_ = 0;
};

class SupervisorTest : public testing::Test {
 protected:
  // A supervisor in a process of its own, as it is in life. Returns what it told its caller.
  std::string begin(const std::string& script, const std::function<void(Record&)>& change = {}) {
    record_.command = {script};
    if (change) change(record_);
    Status status;
    EXPECT_TRUE(place_.make(record_, status).has_value());
    return begin_again();
  }
  std::string begin_again() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    os::Fd reading(ends[0]);
    os::Fd writing(ends[1]);
    supervisor_ = ::fork();
    if (supervisor_ == 0) {
      const auto alive = place_.look_after(record_.id).value();
      PlainProcess machine;
      ::_exit(supervise(place_, record_, machine, std::move(writing)));
    }
    writing = os::Fd();
    return std::string(trim(os::read_all(reading, 1 << 16).value()).substr(0, 400));
  }
  int join() {
    int how = 0;
    EXPECT_EQ(::waitpid(supervisor_, &how, 0), supervisor_);
    supervisor_ = 0;
    return WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
  }
  void TearDown() override {
    if (supervisor_ != 0) {
      ::kill(supervisor_, SIGKILL);
      ::waitpid(supervisor_, nullptr, 0);
    }
  }
  std::string log(const LogQuery& query = {}) {
    std::string text;
    EXPECT_TRUE(read_log(place_.file_of(record_.id, "log"), query, [&](Stream, std::string_view piece) {
                  text += piece;
                  return true;
                }, [] { return false; }).has_value());
    return text;
  }
  Status status() { return place_.status(record_.id).value(); }
  os::Fd connect() { return connect_to(place_.file_of(record_.id, "control")).value(); }
  // All until `ended`: what was printed, and the exit status.
  static std::pair<std::string, int> listen(const os::Fd& socket) {
    FrameReader reader;
    std::string text;
    while (reader.fill(socket)) {
      while (const auto frame = reader.next()) {
        if (frame->kind == Frame::ended) return {text, static_cast<int>(number_at(frame->payload, 0, 4))};
        text += frame->payload;
      }
    }
    return {text, -1};
  }
  static void wait_until(const std::function<bool()>& is_true) {
    for (int i = 0; i < 500 && !is_true(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(is_true());
  }

  os::TempDir folder_ = os::TempDir::make("/tmp", "kist-sup.").value();
  Place place_{folder_.path()};
  Record record_;
  pid_t supervisor_ = 0;
};

TEST_F(SupervisorTest, KeepsWhatIsPrintedAndHowItEnded) {
  EXPECT_EQ(begin("echo out; echo err >&2; exit 3"), "ok");
  EXPECT_EQ(join(), 3);
  EXPECT_EQ(log({.standard_error = false}), "out\n");
  EXPECT_EQ(log({.standard_output = false}), "err\n");
  EXPECT_EQ(status().phase, Phase::exited);
  EXPECT_EQ(status().exit_code, 3);
  EXPECT_EQ(status().memory_peak_bytes, 42u);
  EXPECT_GE(status().finished_ns, status().started_ns);
}

TEST_F(SupervisorTest, SaysWhyItCannotStart) {
  EXPECT_THAT(begin("missing"), testing::StartsWith("127 error:%20exec:%20'missing'"));
  EXPECT_EQ(join(), 127);
  EXPECT_EQ(status().phase, Phase::created);
  EXPECT_EQ(status().error, "exec: 'missing' is not in the image");
}

TEST_F(SupervisorTest, ClientsSeeWhatIsPrintedAndGiveInput) {
  EXPECT_EQ(begin("while read line; do echo \"got $line\"; done; exit 7",
                  [](Record& r) { r.open_stdin = r.stdin_once = true; }), "ok");
  const os::Fd client = connect();
  ASSERT_TRUE(send_frame(client, Frame::attach, std::string(1, '\1')).has_value());
  ASSERT_TRUE(send_frame(client, Frame::input, "one\ntwo\n").has_value());
  ASSERT_TRUE(send_frame(client, Frame::end_of_input).has_value());
  EXPECT_EQ(listen(client), std::pair(std::string("got one\ngot two\n"), 7));
  EXPECT_EQ(join(), 7);
  EXPECT_EQ(log(), "got one\ngot two\n");
}

TEST_F(SupervisorTest, StopsAndKillsWhatDoesNotStop) {
  EXPECT_EQ(begin("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"), "ok");
  wait_until([&] { return log() == "ready\n"; });
  os::Fd client = connect();
  ASSERT_TRUE(send_frame(client, Frame::stop, number_bytes(SIGTERM, 4) + number_bytes(5, 4)).has_value());
  EXPECT_EQ(listen(client).second, 9);
  EXPECT_EQ(join(), 9);
  EXPECT_TRUE(status().stopped_by_hand);
}

TEST_F(SupervisorTest, KillsWhatDoesNotStopInTime) {
  EXPECT_EQ(begin("trap '' TERM; echo ready; while :; do sleep 0.01; done",
                  [](Record& r) { r.restart = {"always", 0}; }), "ok");
  wait_until([&] { return log() == "ready\n"; });
  const os::Fd client = connect();
  ASSERT_TRUE(send_frame(client, Frame::stop, number_bytes(SIGTERM, 4) + number_bytes(0, 4)).has_value());
  EXPECT_EQ(listen(client).second, 137);
  EXPECT_EQ(join(), 137);
}

TEST_F(SupervisorTest, StartsAgainAsThePolicySays) {
  EXPECT_EQ(begin("echo again; exit 1", [](Record& r) { r.restart = {"on-failure", 2}; }), "ok");
  EXPECT_EQ(join(), 1);
  EXPECT_EQ(log(), "again\nagain\nagain\n");
  EXPECT_EQ(status().restart_count, 2u);
}

TEST_F(SupervisorTest, StopBetweenTwoStartsIsTheEnd) {
  EXPECT_EQ(begin("exit 1", [](Record& r) { r.restart = {"always", 0}; }), "ok");
  wait_until([&] { return status().restart_count >= 3; });
  const os::Fd client = connect();
  ASSERT_TRUE(send_frame(client, Frame::stop, number_bytes(0, 4) + number_bytes(5, 4)).has_value());
  EXPECT_EQ(join(), 1);
}

TEST_F(SupervisorTest, WhoBreaksTheFormatIsDropped) {
  EXPECT_EQ(begin("sleep 0.3"), "ok");
  const os::Fd client = connect();
  ASSERT_GT(::write(client.get(), "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9), 0);
  char byte = 0;
  EXPECT_LE(::read(client.get(), &byte, 1), 0);
  const os::Fd second = connect();
  ASSERT_TRUE(send_frame(second, Frame::output, "I am you").has_value());
  EXPECT_LE(::read(second.get(), &byte, 1), 0);
  EXPECT_EQ(join(), 0);
}

// Goal: bounded memory and no loss, with a client that does not read for a while.
TEST_F(SupervisorTest, ASlowClientMakesOutputWait) {
  EXPECT_EQ(begin("sleep 0.2; head -c 20000000 /dev/zero | tr '\\0' 'x'"), "ok");
  const os::Fd client = connect();
  ASSERT_TRUE(send_frame(client, Frame::attach, std::string(1, '\0')).has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto text = os::read_file(fmt::format("/proc/{}/status", supervisor_)).value();
  const size_t at = text.find("RssAnon:");
  ASSERT_NE(at, std::string::npos);
  EXPECT_LT(std::strtoul(text.c_str() + at + 8, nullptr, 10), 8000u) << text;
  EXPECT_EQ(listen(client).first.size(), 20'000'000u);
  EXPECT_EQ(join(), 0);
  EXPECT_EQ(log().size(), 20'000'000u);
}

TEST_F(SupervisorTest, WhatASecondRunPrintsIsAppended) {
  EXPECT_EQ(begin("echo once"), "ok");
  EXPECT_EQ(join(), 0);
  EXPECT_EQ(begin_again(), "ok");
  EXPECT_EQ(join(), 0);
  EXPECT_EQ(log(), "once\nonce\n");
}

TEST(RestartTest, WaitsLongerEachTime) {
  EXPECT_EQ(restart_delay_ns(1), 100'000'000);
  EXPECT_EQ(restart_delay_ns(2), 200'000'000);
  EXPECT_EQ(restart_delay_ns(11), 60'000'000'000);
  EXPECT_EQ(restart_delay_ns(1'000'000), 60'000'000'000);
}

TEST(RestartTest, Policies) {
  Status failed;
  failed.exit_code = 1;
  Status good;
  Status by_hand = failed;
  by_hand.stopped_by_hand = true;
  EXPECT_FALSE(wants_restart({"no", 0}, failed));
  EXPECT_TRUE(wants_restart({"always", 0}, good));
  EXPECT_TRUE(wants_restart({"unless-stopped", 0}, good));
  EXPECT_FALSE(wants_restart({"always", 0}, by_hand));
  EXPECT_FALSE(wants_restart({"on-failure", 0}, good));
  EXPECT_TRUE(wants_restart({"on-failure", 0}, failed));
  failed.restart_count = 3;
  EXPECT_FALSE(wants_restart({"on-failure", 3}, failed));
}

}  // namespace
}  // namespace kist::containers

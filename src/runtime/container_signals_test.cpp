// Signals and the terminal: a container should feel like a direct child of the caller.
#include <gmock/gmock.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "runtime/container_testing.h"

namespace kist::runtime::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SignalsTest : public ContainerTest {};
INSTANTIATE_TEST_SUITE_P(As, SignalsTest, users(), user_name);

// Counts what it gets. The shell runs a trap only when the command that it waits for has ended.
constexpr const char* kCounter =
    "for s in TERM INT HUP QUIT USR1 USR2 WINCH CONT; do trap \"echo got $s\" $s; done; echo "
    "ready; "
    "i=0; while test $i -lt 16; do sleep 0.05; i=$((i+1)); done; echo end";

TEST_P(SignalsTest, ArePassedOn) {
  for (const auto& [number, name] :
       {std::pair{SIGTERM, "TERM"}, std::pair{SIGINT, "INT"}, std::pair{SIGHUP, "HUP"},
        std::pair{SIGQUIT, "QUIT"}, std::pair{SIGUSR1, "USR1"}, std::pair{SIGUSR2, "USR2"},
        std::pair{SIGWINCH, "WINCH"}, std::pair{SIGCONT, "CONT"}}) {
    SCOPED_TRACE(name);
    const std::string quick = std::string("trap 'echo got ") + name + "; exit 3' " + name +
                              "; echo ready; while true; do sleep 0.02; done";
    Runner runner(place().spec(quick), GetParam());
    ASSERT_TRUE(runner.wait_for("ready"));
    ASSERT_EQ(0, ::kill(runner.pid(), number));
    const Ran ran = runner.finish();
    EXPECT_EQ(ran.out, std::string("ready\ngot ") + name + "\n");
    EXPECT_EQ(ran.status, 3);
  }
}

TEST_P(SignalsTest, DefaultActionEndsTheCommandAndIsReported) {
  Runner runner(place().spec("echo ready; exec sleep 100"), GetParam());
  ASSERT_TRUE(runner.wait_for("ready"));
  ASSERT_EQ(0, ::kill(runner.pid(), SIGTERM));
  EXPECT_EQ(runner.finish().status, 128 + SIGTERM);
}

TEST_P(SignalsTest, ForTheWholeGroupArriveOnce) {
  // A shell's `kill %1` signals the group: the caller, and the command directly. A second TERM or
  // INT makes many programs give up their orderly end.
  Runner runner(place().spec(kCounter), GetParam(), [] { ::setpgid(0, 0); });
  ASSERT_TRUE(runner.wait_for("ready"));
  ASSERT_EQ(0, ::kill(-runner.pid(), SIGTERM));
  ASSERT_TRUE(runner.wait_for("got TERM"));
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  ASSERT_EQ(0, ::kill(runner.pid(), SIGUSR1));  // And to the caller alone it is passed on.
  const std::string out = runner.finish().out;
  EXPECT_EQ(out.find("got TERM"), out.rfind("got TERM")) << out;
  EXPECT_THAT(out, HasSubstr("got USR1\n"));
}

TEST_P(SignalsTest, IgnoredOnesStayIgnoredAndMasksAreTheCallers) {
  ContainerSpec spec = place().spec("");
  spec.args = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"};  // A shell changes some itself.
  const Ran ran = run_as(GetParam(), spec, [] {
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
  });
  EXPECT_EQ(ran.out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\n");
}

TEST_P(SignalsTest, ACallerThatIgnoresItsChildrenStillLearnsTheStatus) {
  const Ran ran = run_as(GetParam(), place().spec("exit 9"), [] { ::signal(SIGCHLD, SIG_IGN); });
  EXPECT_EQ(ran.status, 9) << ran.error;
}

TEST_P(SignalsTest, WithoutForwardingTheCallersMaskIsLeftAlone) {
  ContainerSpec spec = place().spec("echo ready; exec sleep 100");
  spec.forward_signals = false;
  Runner runner(spec, GetParam());
  ASSERT_TRUE(runner.wait_for("ready"));
  ASSERT_EQ(0, ::kill(runner.pid(), SIGTERM));
  EXPECT_EQ(runner.finish().status, -SIGTERM);
}

/// A terminal with a small shell in front: it gives the terminal to the run as to a foreground
/// job, and prints when the job stops and ends. Without it the job's group would be orphaned, and
/// the kernel does not stop those.
class Terminal {
 public:
  Terminal(const ContainerSpec& spec, uid_t uid) {
    winsize size = {.ws_row = 33, .ws_col = 77, .ws_xpixel = 0, .ws_ypixel = 0};
    shell_ = ::forkpty(&master_, nullptr, nullptr, &size);
    if (shell_ == 0) be_shell(spec, uid);
  }
  ~Terminal() {
    ::close(master_);
    ::kill(shell_, SIGKILL);
    ::waitpid(shell_, nullptr, 0);
  }
  void type(std::string_view keys) {
    EXPECT_EQ(::write(master_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  void resize(unsigned short rows, unsigned short columns) {
    const winsize size = {.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(0, ::ioctl(master_, TIOCSWINSZ, &size));
  }
  /// Everything that was shown, once `text` is in it after what was waited for before.
  std::string wait_for(std::string_view text) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (shown_.find(text, seen_) == std::string::npos) {
      pollfd polled = {master_, POLLIN, 0};
      if (std::chrono::steady_clock::now() > until) return "TIMEOUT: " + shown_;
      if (::poll(&polled, 1, 100) <= 0) continue;
      char buffer[1024];
      const ssize_t got = ::read(master_, buffer, sizeof buffer);
      if (got <= 0) return "ENDED: " + shown_;
      shown_.append(buffer, static_cast<size_t>(got));
    }
    seen_ = shown_.find(text, seen_) + text.size();
    return shown_;
  }

 private:
  [[noreturn]] static void be_shell(const ContainerSpec& spec, uid_t uid) {
    ::signal(SIGTTOU, SIG_IGN);
    const pid_t job = ::fork();
    if (job == 0) {
      ::setpgid(0, 0);
      ::tcsetpgrp(0, ::getpid());
      ::signal(SIGTTOU, SIG_DFL);
      become(uid);
      const Result<Exit> exit = runtime::run(spec);
      if (!exit) std::fputs(exit.error().render().c_str(), stderr);
      ::_exit(exit ? exit->status : 125);
    }
    ::setpgid(job, job);
    int status = 0;
    while (::waitpid(job, &status, WUNTRACED) == job) {
      ::tcsetpgrp(0, ::getpgrp());
      if (!WIFSTOPPED(status)) break;
      ::dprintf(1, "job stopped by %d\n", WSTOPSIG(status));
      char key = 0;
      if (::read(0, &key, 1) != 1) break;  // Any line is "fg".
      ::tcsetpgrp(0, job);
      ::kill(-job, SIGCONT);
    }
    ::dprintf(1, "job ended with %d\n",
              WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    char rest[64];
    while (::read(0, rest, sizeof rest) > 0) {
    }
    ::_exit(0);
  }
  int master_ = -1;
  pid_t shell_ = -1;
  std::string shown_;
  size_t seen_ = 0;
};

TEST_P(SignalsTest, TheTerminalIsTheCallers) {
  Terminal terminal(place().spec("stty size; tty; read line; echo \"line: $line\"; exit 4"),
                    GetParam());
  EXPECT_THAT(terminal.wait_for("/dev/"), HasSubstr("33 77"));
  terminal.type("typed\n");
  EXPECT_THAT(terminal.wait_for("job ended with 4"), HasSubstr("line: typed"));
}

TEST_P(SignalsTest, ControlCReachesTheCommandOnce) {
  Terminal terminal(place().spec(kCounter), GetParam());
  terminal.wait_for("ready");
  terminal.type("\x03");
  terminal.wait_for("got INT");
  const std::string shown = terminal.wait_for("job ended with 0");
  EXPECT_EQ(shown.find("got INT"), shown.rfind("got INT")) << shown;
}

TEST_P(SignalsTest, ControlCEndsACommandThatDoesNotCatchIt) {
  Terminal terminal(place().spec("echo ready; exec sleep 100"), GetParam());
  terminal.wait_for("ready");
  terminal.type("\x03");
  EXPECT_THAT(terminal.wait_for("job ended with 130"), Not(HasSubstr("TIMEOUT")));
}

TEST_P(SignalsTest, ControlZStopsAndForegroundContinues) {
  Terminal terminal(place().spec("echo ready; read line; echo \"line: $line\""), GetParam());
  terminal.wait_for("ready");
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    terminal.type("\x1a");
    EXPECT_THAT(terminal.wait_for(fmt::format("job stopped by {}", SIGTSTP)),
                Not(HasSubstr("TIMEOUT")));
    terminal.type("\n");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  terminal.type("after\n");
  EXPECT_THAT(terminal.wait_for("job ended with 0"), HasSubstr("line: after"));
}

TEST_P(SignalsTest, AnotherSizeIsTold) {
  Terminal terminal(
      place().spec("trap 'stty size; exit' WINCH; echo ready; while true; do sleep 0.02; done"),
      GetParam());
  terminal.wait_for("ready");
  terminal.resize(44, 111);
  EXPECT_THAT(terminal.wait_for("job ended with 0"), HasSubstr("44 111"));
}

TEST_P(SignalsTest, AnInteractiveShellHasJobControl) {
  ContainerSpec spec = place().spec("");
  spec.args = {"sh", "-i"};
  spec.env.emplace_back("PS1=prompt> ");
  Terminal terminal(spec, GetParam());
  terminal.wait_for("prompt>");
  terminal.type("sleep 100\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  terminal.type("\x1a");
  EXPECT_THAT(terminal.wait_for("prompt>"), HasSubstr("Stopped"));
  terminal.type("fg\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  terminal.type("\x03");
  terminal.wait_for("prompt>");
  terminal.type("exit 6\n");
  EXPECT_THAT(terminal.wait_for("job ended with 6"), Not(HasSubstr("can't access tty")));
}

}  // namespace
}  // namespace kist::runtime::testing

// For tests of containers: a root made of busybox, and runs of it as any user.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "os/files.h"
#include "runtime/container.h"

namespace kist::runtime::testing {

constexpr const char* kBusybox = "/bin/busybox";
constexpr uid_t kUser = 12345;  // Nobody in particular: has no name and no subordinate ids.

/// A folder with a busybox root in "root" and an empty "project", all of it owned by `uid`.
class Place {
 public:
  explicit Place(uid_t uid)
      : uid_(uid), folder_(os::TempDir::make("/tmp", "kist-runtime.").value()) {
    ::chmod(folder_.path().c_str(), 0755);
    for (const char* name : {"", "bin", "dev", "etc", "home", "proc", "run", "sys", "tmp"})
      ::mkdir(os::join(root(), name).c_str(), 0755);
    ::mkdir(project().c_str(), 0755);
    const std::string busybox = os::read_file(kBusybox).value();
    EXPECT_TRUE(os::write_file_atomically(root() + "/bin/busybox", busybox, 0755).has_value());
    for (const char* name :
         {"cat",      "chmod", "echo",   "env",  "false", "head",  "hostname", "id",
          "ifconfig", "kill",  "ln",     "ls",   "mkdir", "mount", "ps",       "readlink",
          "rm",       "sh",    "sleep",  "sort", "stat",  "stty",  "tail",     "touch",
          "true",     "tty",   "ulimit", "wc",   "df",    "grep",  "dd"})
      EXPECT_EQ(0, ::symlink("busybox", (root() + "/bin/" + name).c_str()));
    write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    own(folder_.path());
  }
  std::string root() const { return folder_.path() + "/root"; }
  std::string project() const { return folder_.path() + "/project"; }
  const std::string& folder() const { return folder_.path(); }
  uid_t uid() const { return uid_; }
  void write(const std::string& inside, const std::string& text, mode_t mode = 0644) {
    EXPECT_TRUE(os::write_file_atomically(root() + inside, text, mode).has_value());
    own(root() + inside);
  }
  void link(const std::string& target, const std::string& inside) {
    EXPECT_EQ(0, ::symlink(target.c_str(), (root() + inside).c_str()));
    own(root() + inside);
  }
  /// A spec that runs `script` in the busybox shell.
  ContainerSpec spec(const std::string& script) const {
    ContainerSpec spec;
    spec.root.lowers = {root()};
    spec.args = {"sh", "-c", script};
    spec.env = {"PATH=/bin"};
    spec.uid = spec.gid = uid_;
    return spec;
  }

 private:
  void own(const std::string& path) {
    EXPECT_EQ(0, ::lchown(path.c_str(), uid_, uid_)) << path;
    if (!os::is_folder(path)) return;
    struct stat st = {};
    if (::lstat(path.c_str(), &st) != 0 || S_ISLNK(st.st_mode)) return;
    const auto names = os::list_folder(path);
    for (const std::string& name : *names) own(os::join(path, name));
  }
  uid_t uid_;
  os::TempDir folder_;
};

/// What came of a run: its output (stdout and stderr together) and how run() ended.
struct Ran {
  int status = -1;
  std::string out;
  std::string error;        // Rendered, if run() failed (status is then 125).
  std::string not_started;  // Rendered.
};

inline void become(uid_t uid) {
  if (uid == ::geteuid()) return;
  if (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 ||
      ::setresuid(uid, uid, uid) != 0)
    ::_exit(99);
  // As it is after an exec: a process that has changed its id may not open its own /proc files.
  ::prctl(PR_SET_DUMPABLE, 1);
}

/// A run in a process of its own, as `uid`: it can be signalled, killed, and waited for.
class Runner {
 public:
  Runner(const ContainerSpec& spec, uid_t uid, const std::function<void()>& before = {}) {
    int out[2];
    int result[2];
    EXPECT_EQ(0, ::pipe2(out, O_CLOEXEC));
    EXPECT_EQ(0, ::pipe2(result, O_CLOEXEC));
    pid_ = ::fork();
    if (pid_ == 0) child(spec, uid, before, out[1], result[1]);
    ::close(out[1]);
    ::close(result[1]);
    out_ = os::Fd(out[0]);
    result_ = os::Fd(result[0]);
  }
  pid_t pid() const { return pid_; }
  /// Reads output until it contains `text`. False after ten seconds, or at its end.
  bool wait_for(std::string_view text) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (text_.find(text) == std::string::npos) {
      pollfd polled = {out_.get(), POLLIN, 0};
      if (std::chrono::steady_clock::now() > until || ::poll(&polled, 1, 100) < 0) return false;
      if (polled.revents != 0 && !read_some()) return false;
    }
    return true;
  }
  Ran finish() {
    while (read_some()) {
    }
    Ran ran;
    ran.out = text_;
    const std::string result = os::read_all(result_).value();
    const size_t split = result.find('\0');
    ran.error = result.substr(0, split);
    if (split != std::string::npos) ran.not_started = result.substr(split + 1);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return ran;
  }

 private:
  [[noreturn]] static void child(ContainerSpec spec, uid_t uid, const std::function<void()>& before,
                                 int out, int result) {
    become(uid);
    // What starts tests in the background ignores some.
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE}) ::signal(number, SIG_DFL);
    if (before) before();
    const os::Fd out_fd(out);
    const os::Fd result_fd(result);
    if (spec.standard_output == nullptr) spec.standard_output = &out_fd;
    if (spec.standard_error == nullptr) spec.standard_error = &out_fd;
    const Result<Exit> exit = run(spec);
    std::string text = exit ? "" : exit.error().render();
    text += '\0';
    if (exit && exit->not_started) text += exit->not_started->render();
    (void)os::write_all(result_fd, text).has_value();
    ::_exit(exit ? exit->status : 125);
  }
  bool read_some() {
    char buffer[4096];
    const ssize_t got = ::read(out_.get(), buffer, sizeof buffer);
    if (got > 0) text_.append(buffer, static_cast<size_t>(got));
    return got > 0;
  }
  pid_t pid_ = -1;
  os::Fd out_;
  os::Fd result_;
  std::string text_;
};

inline Ran run_as(uid_t uid, const ContainerSpec& spec, const std::function<void()>& before = {}) {
  return Runner(spec, uid, before).finish();
}

/// How many processes of the host have `marker` among their arguments.
inline int processes_with(const std::string& marker) {
  int count = 0;
  const auto names = os::list_folder("/proc");
  for (const std::string& name : *names) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (std::stoi(name) == ::getpid()) continue;
    const auto line = os::read_file("/proc/" + name + "/cmdline");
    if (line && line->find(marker) != std::string::npos) ++count;
  }
  return count;
}

/// Waits up to three seconds for `condition`.
inline bool soon(const std::function<bool()>& condition) {
  for (int i = 0; i < 300; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

/// Everything is tested as root and as a user without any privilege. A plain user who runs the
/// tests can only be itself.
class ContainerTest : public ::testing::TestWithParam<uid_t> {
 protected:
  void SetUp() override {
    if (::access(kBusybox, X_OK) != 0) GTEST_SKIP() << "needs a static /bin/busybox";
    if (GetParam() != ::geteuid() && ::geteuid() != 0)
      GTEST_SKIP() << "only root can test as uid " << GetParam();
    place_ = std::make_unique<Place>(GetParam());
  }
  Ran run_script(const std::string& script) { return run_as(GetParam(), place_->spec(script)); }
  Ran run(const ContainerSpec& spec) { return run_as(GetParam(), spec); }
  bool is_root() const { return GetParam() == 0; }
  Place& place() { return *place_; }

 private:
  std::unique_ptr<Place> place_;
};

inline auto users() {
  return ::geteuid() == 0 ? ::testing::Values(uid_t{0}, kUser)
                          : ::testing::Values(::geteuid(), kUser);
}
inline std::string user_name(const ::testing::TestParamInfo<uid_t>& info) {
  return info.param == 0 ? "root" : "user" + std::to_string(info.index);
}

}  // namespace kist::runtime::testing

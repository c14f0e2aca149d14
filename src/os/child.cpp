#include "os/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstring>

#include "base/text.h"

extern char** environ;

namespace kist::os {
namespace {

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno(errno, "pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// What the child does between fork and exec: system calls only, since other threads may hold locks.
[[noreturn]] void become(const Command& command, char** argv, char** envp, const Fd& in,
                         const Fd& out, const Fd& err, const Fd& report, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // The parent died before prctl took effect.
  ::dup2(in.get(), 0);
  ::dup2(out.get(), 1);
  ::dup2(err.get(), 2);
  ::signal(SIGPIPE, SIG_DFL);
  if (command.working_dir.empty() || ::chdir(command.working_dir.c_str()) == 0)
    ::execvpe(argv[0], argv, envp);
  const int error = errno;
  if (::write(report.get(), &error, sizeof error) < 0) ::_exit(126);
  ::_exit(127);
}

struct Stream {
  const Fd* fd;
  std::string* text;
};

// A program that ends without reading what it is given must not end us with it. Of this thread alone,
// as the signal is: others may want it.
class BrokenPipesIgnored {
 public:
  BrokenPipesIgnored() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  BrokenPipesIgnored(const BrokenPipesIgnored&) = delete;
  BrokenPipesIgnored& operator=(const BrokenPipesIgnored&) = delete;
  ~BrokenPipesIgnored() {
    const timespec now = {};
    if (!was_pending_)
      while (::sigtimedwait(&pipe_, nullptr, &now) == SIGPIPE) continue;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false;
};

// Feeds stdin and drains both outputs until all are closed.
Result<void> pump(std::string_view input, Fd in, const Fd& out, const Fd& err, size_t limit,
                  Output& result) {
  const BrokenPipesIgnored ignored;
  ::fcntl(in.get(), F_SETFL, O_NONBLOCK);
  if (input.empty()) in = Fd();
  const Stream streams[] = {{&out, &result.out}, {&err, &result.err}};
  bool open[] = {true, true};
  std::vector<char> buffer(64 << 10);
  while (open[0] || open[1]) {
    pollfd polled[] = {{open[0] ? out.get() : -1, POLLIN, 0},
                       {open[1] ? err.get() : -1, POLLIN, 0},
                       {in.get(), POLLOUT, 0}};
    if (::poll(polled, 3, -1) < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
    if (in.is_open() && polled[2].revents != 0) {
      const ssize_t put = ::write(in.get(), input.data(), input.size());
      if (put >= 0) input.remove_prefix(static_cast<size_t>(put));
      if (input.empty() || (put < 0 && errno != EAGAIN && errno != EINTR)) in = Fd();
    }
    for (size_t i = 0; i < 2; ++i) {
      if (!open[i] || polled[i].revents == 0) continue;
      const ssize_t got = ::read(streams[i].fd->get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) open[i] = false;
      if (got > 0) streams[i].text->append(buffer.data(), static_cast<size_t>(got));
      if (streams[i].text->size() > limit)
        return Error(Code::invalid, "printed more than {}", human_bytes(limit));
    }
  }
  return {};
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<Output> run(const Command& command) {
  KIST_ASSERT(!command.args.empty());
  Pipe in = TRY(make_pipe());
  Pipe out = TRY(make_pipe());
  Pipe err = TRY(make_pipe());
  Pipe report = TRY(make_pipe());
  std::vector<char*> argv = pointers(command.args);
  std::vector<char*> envp = pointers(command.env);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return Error::from_errno(errno, "fork");
  if (pid == 0)
    become(command, argv.data(), envp.data(), in.read_end, out.write_end, err.write_end,
           report.write_end, parent);
  in.read_end = Fd();
  out.write_end = Fd();
  err.write_end = Fd();
  report.write_end = Fd();

  Output result;
  const auto pumped = pump(command.input, std::move(in.write_end), out.read_end, err.read_end,
                           command.output_limit, result);
  if (!pumped) ::kill(pid, SIGKILL);
  int exec_error = 0;
  const ssize_t got = ::read(report.read_end.get(), &exec_error, sizeof exec_error);
  result.status = wait_for(pid);
  if (!pumped) return Error(pumped.error()).context(fmt::format("running '{}'", command.args[0]));
  if (got == sizeof exec_error) return Error::from_errno(exec_error, "run '{}'", command.args[0]);
  return result;
}

std::vector<std::string> current_env() {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) out.emplace_back(*entry);
  return out;
}

}  // namespace kist::os

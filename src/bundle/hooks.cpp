#include "bundle/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "os/files.h"
#include "os/kernel.h"

namespace kist::bundle {
namespace {

namespace json = boost::json;

Result<os::Fd> memory_file(const std::string& bytes) {
  os::Fd fd(::memfd_create("hook", MFD_CLOEXEC));
  if (!fd.is_open()) return Error::from_errno(errno, "make a file in memory");
  TRY(os::write_all(fd, bytes));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return Error::from_errno(errno, "rewind a file");
  return fd;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

constexpr int kNotExecuted = 127;

Result<pid_t> start_hook(const Hook& hook, const os::Fd& input, const os::Fd& output) {
  const std::vector<char*> argv =
      hook.args.empty() ? pointers({hook.path}) : pointers(hook.args);
  const std::vector<std::string> path_only = {hook.path};
  const std::vector<char*> only = pointers(path_only);
  const std::vector<char*> env = pointers(hook.env);
  const pid_t pid = ::vfork();
  if (pid < 0) return Error::from_errno(errno, "make a process");
  if (pid == 0) {
    sigset_t nothing;
    ::sigemptyset(&nothing);
    ::sigprocmask(SIG_SETMASK, &nothing, nullptr);
    ::dup2(input.get(), 0);
    ::dup2(output.get(), 1);
    ::dup2(output.get(), 2);
    os::kernel::close_range(3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
    ::execve(hook.path.c_str(), hook.args.empty() ? only.data() : argv.data(), env.data());
    const int error = errno;
    dprintf(2, "%s", strerrordesc_np(error));
    ::_exit(kNotExecuted);
  }
  return pid;
}

// Waits for its end, at most as long as it may take. The status of waitpid.
Result<int> finish(pid_t pid, int timeout_s) {
  if (timeout_s > 0) {
    const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    pollfd polled = {process.get(), POLLIN, 0};
    if (::poll(&polled, 1, timeout_s * 1000) == 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      return Error(Code::unavailable, "took longer than {} s", timeout_s);
    }
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return Error::from_errno(errno, "wait for it");
  return status;
}

Result<void> run_hook(const Hook& hook, const std::string& state) {
  const os::Fd input = TRY(memory_file(state));
  const os::Fd output = TRY(memory_file({}));
  const pid_t pid = TRY(start_hook(hook, input, output));
  const int status = TRY(finish(pid, hook.timeout_s));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  constexpr size_t kShown = 1000;
  std::string said(kShown, '\0');
  const ssize_t got = ::pread(output.get(), said.data(), said.size(), 0);
  said.resize(got > 0 ? static_cast<size_t>(got) : 0);
  if (WIFSIGNALED(status)) {
    std::string name = ::strsignal(WTERMSIG(status));
    name[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(name[0])));
    return Error(Code::unavailable, "was ended by signal {} ({}): {}", WTERMSIG(status), name, printable(trim(said), kShown));
  }
  return Error(Code::unavailable, "exit status {}: {}", WEXITSTATUS(status), printable(trim(said), kShown));
}

}  // namespace

std::string state_text(const State& state) {
  json::object out = {{"ociVersion", state.oci_version},
                      {"id", state.id},
                      {"status", std::string(name_of(state.status))},
                      {"pid", state.pid},
                      {"bundle", state.bundle}};
  if (state.pid == 0) out.erase("pid");
  if (!state.annotations.empty()) {
    json::object annotations;
    for (const auto& [name, value] : state.annotations) annotations[name] = value;
    out["annotations"] = std::move(annotations);
  }
  return json::serialize(out);
}

Result<void> run_hooks(const std::vector<Hook>& hooks, const char* kind, const State& state) {
  if (hooks.empty()) return {};
  const std::string text = state_text(state);
  for (size_t i = 0; i < hooks.size(); ++i)
    TRY(run_hook(hooks[i], text), "error running {} hook #{}: '{}'", kind, i, printable(hooks[i].path));
  return {};
}

void run_hooks_to_the_end(const std::vector<Hook>& hooks, const char* kind, const State& state,
                          const Runtime& runtime) {
  const std::string text = hooks.empty() ? std::string() : state_text(state);
  for (size_t i = 0; i < hooks.size(); ++i) {
    const auto done = run_hook(hooks[i], text);
    if (!done && runtime.warn)
      runtime.warn(fmt::format("error running {} hook #{}: '{}': {}", kind, i, printable(hooks[i].path),
                               done.error().message()));
  }
}

}  // namespace kist::bundle

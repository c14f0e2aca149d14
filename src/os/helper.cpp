#include "os/helper.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace kist::os {
namespace {

constexpr int kWhoProcess = 1;              // ioprio_set(2): IOPRIO_WHO_PROCESS,
constexpr int kIdleClass = 3 << 13;         // IOPRIO_CLASS_IDLE.

// Each of these is a courtesy: where the kernel refuses one, the helper works all the same.
void become_idle() {
  const sched_param none = {};
  ::sched_setscheduler(0, SCHED_IDLE, &none);
  ::setpriority(PRIO_PROCESS, 0, 19);
  ::syscall(SYS_ioprio_set, kWhoProcess, 0, kIdleClass);
}

// Between fork and exec: system calls only, since other threads may hold locks.
[[noreturn]] void become(char* const* argv, timespec delay, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);  // The parent died before prctl took effect.
  // Else ^C and ^Z of the person's program would reach us too.
  ::setpgid(0, 0);
  sigset_t all;
  ::sigemptyset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  const int nothing = ::open("/dev/null", O_RDWR);
  if (nothing < 0) ::_exit(0);
  // A pipe's end that we held would keep its reader waiting after the program has closed it.
  for (const int fd : {0, 1, 2}) ::dup2(nothing, fd);
  ::syscall(SYS_close_range, 3, ~0u, 0);
  become_idle();
  while (::nanosleep(&delay, &delay) != 0 && errno == EINTR) {
  }
  ::execv(argv[0], argv);
  ::_exit(127);
}

}  // namespace

Result<Helper> Helper::start(const std::vector<std::string>& args, std::chrono::milliseconds delay) {
  std::vector<char*> argv;
  for (const std::string& argument : args) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const timespec wait = {.tv_sec = delay.count() / 1000,
                         .tv_nsec = (delay.count() % 1000) * 1'000'000};
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return Error::from_errno(errno, "fork");
  if (child == 0) become(argv.data(), wait, parent);
  return Helper(child);
}

// Not waited for: at idle priority it gets no time to die in while others want the processor, and
// the person's prompt would wait with us (measured: a minute on a machine with 25 other processes).
Helper::~Helper() {
  if (process_ == 0) return;
  ::kill(process_, SIGKILL);
  (void)::waitpid(process_, nullptr, WNOHANG);
}

}  // namespace kist::os

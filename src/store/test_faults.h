// Runs something in a child and lets its N-th change of the disk be its last, or fail. The kernel
// does it (a seccomp filter that stops for a tracer), so that no call can be forgotten, nor one
// that a library makes.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <functional>
#include <vector>

namespace kist::store {

enum class Fault { none, kill, full_disk, too_many_links };

struct FaultRun {
  int changes = 0;  // Calls that change the disk, up to the end or the fault.
  bool is_killed = false;
  int exit_status = -1;
};

// In the child: from now on every call that changes the disk stops for the tracer.
inline bool stop_at_changes() {
  const std::vector<unsigned> calls = {
      SYS_mkdirat,   SYS_renameat2, SYS_linkat, SYS_unlinkat,  SYS_symlinkat, SYS_mknodat,
      SYS_write,     SYS_pwrite64,  SYS_fsync,  SYS_fchmod,    SYS_fchmodat,  SYS_utimensat,
      SYS_ftruncate, SYS_fdatasync, SYS_syncfs, SYS_fsetxattr, SYS_renameat,
#ifdef SYS_rename
      SYS_mkdir,     SYS_rename,    SYS_link,   SYS_unlink,    SYS_rmdir,     SYS_symlink,
      SYS_mknod,     SYS_chmod,
#endif
  };
  std::vector<sock_filter> program;
  const auto load = [&](size_t offset) {
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset)));
  };
  const sock_filter trace = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
  load(offsetof(seccomp_data, nr));
  for (const unsigned call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    program.push_back(trace);
  }
  // openat() only if it may create; its flags are the third argument (the low half comes first).
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3));
  load(offsetof(seccomp_data, args[2]));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1));
  program.push_back(trace);
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// The call at which the child has stopped is not made and returns `result`.
inline void replace_call(pid_t pid, long result) {
  user_regs_struct registers = {};
  iovec vector = {&registers, sizeof registers};
  constexpr int kGeneralRegisters = 1;  // NT_PRSTATUS
  EXPECT_EQ(::ptrace(PTRACE_GETREGSET, pid, kGeneralRegisters, &vector), 0);
#if defined(__x86_64__)
  registers.orig_rax = ~0ull;
  registers.rax = static_cast<unsigned long long>(result);
#else
  int no_call = -1;
  iovec number = {&no_call, sizeof no_call};
  EXPECT_EQ(::ptrace(PTRACE_SETREGSET, pid, 0x404 /* NT_ARM_SYSTEM_CALL */, &number), 0);
  registers.regs[0] = static_cast<unsigned long long>(result);
#endif
  EXPECT_EQ(::ptrace(PTRACE_SETREGSET, pid, kGeneralRegisters, &vector), 0);
}

/// `at` counts from 1. `work` returns the child's exit status.
inline FaultRun run_with_fault(Fault fault, int at, const std::function<int()>& work) {
  constexpr int kNoFilter = 99;
  FaultRun run;
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    ::_exit(stop_at_changes() ? work() : kNoFilter);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  constexpr long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL;
  EXPECT_EQ(::ptrace(PTRACE_SETOPTIONS, pid, nullptr, kOptions), 0);
  long signal = 0;
  while (true) {
    ::ptrace(PTRACE_CONT, pid, nullptr, signal);  // Fails once the child is killed.
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    if (!WIFSTOPPED(status)) break;
    const bool is_change = status >> 8 == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8));
    signal = is_change ? 0 : WSTOPSIG(status);
    if (!is_change || ++run.changes != at) continue;
    if (fault == Fault::kill) ::kill(pid, SIGKILL);
    if (fault == Fault::full_disk) replace_call(pid, -ENOSPC);
    if (fault == Fault::too_many_links) replace_call(pid, -EMLINK);
  }
  run.is_killed = WIFSIGNALED(status);
  if (WIFEXITED(status)) run.exit_status = WEXITSTATUS(status);
  EXPECT_NE(run.exit_status, kNoFilter);
  return run;
}

}  // namespace kist::store

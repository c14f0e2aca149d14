// Which system calls a container may make: the set that Docker's default profile allows to a
// container with the default capabilities (state of 2025: io_uring and vsock are out), as data.
//
// One rule is ours. Docker gives a container a terminal of its own; ours shares the caller's, and
// ioctl(TIOCSTI) would let it type into the shell that comes back when it has ended.
#pragma once

#include <cstdint>

namespace kist::seccomp_generator {

/// Allowed whatever the arguments are. Names that an architecture does not have are skipped.
constexpr const char* kAllowed[] = {
    // Processes, threads, scheduling.
    "alarm", "arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork",
    "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake",
    "get_robust_list", "get_thread_area", "getcpu", "getegid", "getegid32", "geteuid", "geteuid32",
    "getgid", "getgid32", "getgroups", "getgroups32", "getitimer", "getpgid", "getpgrp", "getpid",
    "getppid", "getpriority", "getresgid", "getresgid32", "getresuid", "getresuid32", "getrlimit",
    "getrusage", "getsid", "gettid", "getuid", "getuid32", "ioprio_get", "ioprio_set", "kill",
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "membarrier",
    "modify_ldt", "nanosleep", "pause", "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64",
    "process_mrelease", "process_vm_readv", "process_vm_writev", "ptrace", "restart_syscall",
    "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
    "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
    "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
    "sched_setscheduler", "sched_yield", "seccomp", "set_robust_list", "set_thread_area",
    "set_tid_address", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32",
    "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32",
    "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit",
    "setsid", "setuid", "setuid32", "sigaltstack", "signalfd", "signalfd4", "sigprocmask",
    "sigreturn", "sysinfo", "tgkill", "times", "tkill", "ugetrlimit", "umask", "uname",
    "uretprobe", "vfork", "wait4", "waitid", "waitpid",
    // Memory.
    "brk", "madvise", "map_shadow_stack", "memfd_create", "memfd_secret", "mincore", "mlock",
    "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mremap", "mseal", "msync", "munlock",
    "munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect", "remap_file_pages",
    // Files and folders.
    "_llseek", "access", "cachestat", "chdir", "chmod", "chown", "chown32", "chroot", "close",
    "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3", "faccessat", "faccessat2",
    "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark", "fchdir", "fchmod", "fchmodat",
    "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr",
    "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs",
    "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futimesat", "getcwd", "getdents",
    "getdents64", "getxattr", "getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1",
    "inotify_rm_watch", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listmount",
    "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat",
    "lstat64", "mkdir", "mkdirat", "mknod", "mknodat", "name_to_handle_at", "newfstatat", "open",
    "openat", "openat2", "readahead", "readlink", "readlinkat", "removexattr", "removexattrat",
    "rename", "renameat", "renameat2", "rmdir", "setxattr", "setxattrat", "stat", "stat64",
    "statfs", "statfs64", "statmount", "statx", "symlink", "symlinkat", "sync", "sync_file_range",
    "syncfs", "truncate", "truncate64", "unlink", "unlinkat", "utime", "utimensat",
    "utimensat_time64", "utimes",
    // Reading, writing, waiting.
    "_newselect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "io_cancel",
    "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit",
    "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "pread64", "preadv", "preadv2", "pselect6",
    "pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read", "readv", "select", "sendfile",
    "sendfile64", "splice", "tee", "vmsplice", "write", "writev",
    // Between processes.
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "ipc",
    "listen", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64",
    "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd",
    "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "semctl", "semget", "semop",
    "semtimedop", "semtimedop_time64", "send", "sendmmsg", "sendmsg", "sendto", "setsockopt",
    "shmat", "shmctl", "shmdt", "shmget", "shutdown", "socketcall", "socketpair",
    // Time and chance.
    "adjtimex", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64",
    "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "getrandom",
    "gettimeofday", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
    "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime",
    "timerfd_gettime64", "timerfd_settime", "timerfd_settime64",
};

/// Allowed on ARM only, where they exist.
constexpr const char* kAllowedOnArm[] = {"arm_fadvise64_64", "arm_sync_file_range",
                                         "sync_file_range2", "breakpoint", "cacheflush",
                                         "set_tls"};

/// Calls that answer "no such call" instead of "not permitted", so that the C library falls back.
constexpr const char* kMissing[] = {"clone3"};

/// The bits of clone's flags that make namespaces.
constexpr uint32_t kNamespaceFlags = 0x7E020000;
/// socket(): families from AF_UNIX on that are allowed, as a bit set; others are rarely used and
/// have had more than their share of holes (AF_ALG, AF_VSOCK, AF_CAIF …).
constexpr uint64_t family_range(int first, int last) {
  return ((uint64_t{1} << (last - first + 1)) - 1) << first;
}
constexpr uint64_t kFamilies = family_range(0, 11) | family_range(13, 18) | family_range(21, 22) |
                               family_range(24, 24) | family_range(26, 33) | family_range(35, 36) |
                               family_range(39, 39) | family_range(41, 45);
constexpr uint32_t kPersonalities[] = {0, 0x8, 0x20000, 0x20008, 0xffffffff};
/// ioctl requests that reach into the terminal's input or the virtual console.
constexpr uint32_t kTerminalInjections[] = {0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */};

/// What libseccomp 2.5.4 does not know. Since 424 all architectures number alike.
struct Newer {
  const char* name;
  int number;
};
constexpr Newer kNewer[] = {
    {"cachestat", 451},     {"fchmodat2", 452},     {"map_shadow_stack", 453},
    {"futex_wake", 454},    {"futex_wait", 455},    {"futex_requeue", 456},
    {"statmount", 457},     {"listmount", 458},     {"mseal", 462},
    {"setxattrat", 463},    {"getxattrat", 464},    {"listxattrat", 465},
    {"removexattrat", 466},
};
/// Only x86-64 has it.
constexpr Newer kNewerX86[] = {{"uretprobe", 335}};
/// Beyond this the profile has no opinion: "no such call", as on the kernel that it was made for.
constexpr int kLastKnown = 466;

}  // namespace kist::seccomp_generator

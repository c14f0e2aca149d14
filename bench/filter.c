/* The system call filter that kist installs. Without arguments it is written out, as bwrap --seccomp takes it;
   with a number, it is installed so often, each time by a process of its own, and what each took is printed in
   nanoseconds. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/seccomp_filter.inc"

static long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

/* A process that has a filter keeps it, and is slower for it. */
static int install(void) {
  const struct sock_fprog program = {sizeof kist_seccomp_filter / sizeof(struct sock_filter),
                                     (struct sock_filter*)kist_seccomp_filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 1;
  const long began = now_ns();
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) != 0) return 1;
  const long took = now_ns() - began;
  char text[32];
  const int size = snprintf(text, sizeof text, "%ld\n", took);
  return write(1, text, (size_t)size) == size ? 0 : 1;
}

int main(int count, char** words) {
  if (count == 1) {
    const ssize_t size = sizeof kist_seccomp_filter;
    return write(1, kist_seccomp_filter, size) == size ? 0 : 1;
  }
  for (long left = strtol(words[1], NULL, 10); left > 0; --left) {
    const pid_t child = fork();
    if (child == 0) _exit(install());
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 1;
  }
  return 0;
}

/* Writes the system call filter that kist installs, as bwrap --seccomp takes it. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include "runtime/seccomp_filter.inc"

int main(void) {
  const ssize_t size = sizeof kist_seccomp_filter;
  return write(1, kist_seccomp_filter, size) == size ? 0 : 1;
}

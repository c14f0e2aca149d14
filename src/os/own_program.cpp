#include "os/own_program.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>

#include "os/fd.h"

namespace kist::os {
namespace {

constexpr const char* kSelf = "/proc/self/exe";
constexpr size_t kLine = 256;  // BINPRM_BUF_SIZE: the kernel reads no more of a script's first line.

// What the first line asks for, written into `line`; null when there is none.
const char* interpreter_of(const Fd& file, char (&line)[kLine + 1]) {
  const ssize_t got = ::pread(file.get(), line, kLine, 0);
  if (got < 3 || line[0] != '#' || line[1] != '!') return nullptr;
  line[got] = '\0';
  char* begin = line + 2;
  begin[std::strcspn(begin, "\n")] = '\0';
  begin += std::strspn(begin, " \t");
  begin[std::strcspn(begin, " \t")] = '\0';
  return begin;
}

}  // namespace

OwnProgram own_program() {
  struct stat st = {};
  struct statvfs fs = {};
  if (::stat(kSelf, &st) != 0 || ::statvfs(kSelf, &fs) != 0) return {};
  if ((fs.f_flag & ST_RDONLY) != 0) return {};
  return {.device = st.st_dev, .inode = st.st_ino};
}

bool executes(const OwnProgram& own, const char* path) {
  constexpr int kDeepest = 6;  // The kernel follows five scripts.
  char line[kLine + 1];
  for (int depth = 0; own.inode != 0 && path != nullptr && depth < kDeepest; ++depth) {
    const Fd file(::open(path, O_PATH | O_CLOEXEC));
    struct stat st = {};
    if (!file.is_open() || ::fstat(file.get(), &st) != 0) return false;
    if (st.st_dev == own.device && st.st_ino == own.inode) return true;
    // Not to wait for the writer of a pipe. A script that may not be read does not run either.
    const Fd readable(S_ISREG(st.st_mode) ? ::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1);
    path = interpreter_of(readable, line);
  }
  return false;
}

}  // namespace kist::os

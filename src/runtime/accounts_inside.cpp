// A name for the caller. Without an entry for the uid, getpwuid() fails, and with it expanduser,
// ssh, git, whoami, torch's caches …; the image cannot have one, since it is the same for
// everybody. So the image's own file, plus a line, is laid over it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "os/kernel.h"
#include "runtime/inside.h"

namespace kist::runtime {
namespace {

namespace kernel = os::kernel;
constexpr off_t kMaxBytes = 1 << 20;

// Whether a line "name:password:ID:…" of `file` has `field` (":ID:") after its second item.
bool has_id(std::string_view file, std::string_view field) {
  while (!file.empty()) {
    const size_t end = file.find('\n');
    const std::string_view line = file.substr(0, end);
    size_t colon = line.find(':');
    if (colon != std::string_view::npos) colon = line.find(':', colon + 1);
    if (colon != std::string_view::npos && line.substr(colon).starts_with(field)) return true;
    file = end == std::string_view::npos ? std::string_view() : file.substr(end + 1);
  }
  return false;
}

struct Account {
  const char* path;
  const char* scratch_name;
  std::string_view line;
  std::string_view field;
};

void write_whole(int fd, std::string_view bytes, const char* path, const Reporter& report) {
  if (::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    report.fail(errno, "write", path);
}

void mount_account(const Account& account, const Root& root, const Reporter& report) {
  std::string_view old;
  const int fd = kernel::open_in_root(root.root, account.path, O_RDONLY);
  if (fd >= 0) {
    struct stat st = {};
    report.check(::fstat(fd, &st), "stat", account.path);
    if (!S_ISREG(st.st_mode) || st.st_size > kMaxBytes)
      report.fail(0, "not a file of at most 1 MiB in the root:", account.path);
    if (st.st_size > 0) {
      void* bytes = ::mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
      if (bytes == MAP_FAILED) report.fail(errno, "read", account.path);
      old = {static_cast<const char*>(bytes), static_cast<size_t>(st.st_size)};
    }
    ::close(fd);
  }
  if (has_id(old, account.field)) return;
  const int merged = report.check(
      ::openat(root.scratch, account.scratch_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644),
      "create", account.scratch_name);
  write_whole(merged, old, account.path, report);
  if (!old.empty() && old.back() != '\n') write_whole(merged, "\n", account.path, report);
  write_whole(merged, account.line, account.path, report);
  ::close(merged);
  const int tree = report.check(kernel::clone_tree(root.scratch, account.scratch_name, false),
                                "open", account.scratch_name);
  const int target = open_target(root, account.path, false, report);
  report.check(kernel::attach(tree, target), "mount", account.path);
  ::close(tree);
  ::close(target);
}

}  // namespace

void mount_accounts(const Plan& plan, const Root& root, const Reporter& report) {
  if (!plan.passwd_line.empty())
    mount_account({"/etc/passwd", "passwd", plan.passwd_line, plan.passwd_field}, root, report);
  if (!plan.group_line.empty())
    mount_account({"/etc/group", "group", plan.group_line, plan.group_field}, root, report);
}

}  // namespace kist::runtime

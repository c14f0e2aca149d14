#include "runtime/plan.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>

#include "base/text.h"
#include "os/files.h"
#include "os/kernel.h"
#include "runtime/capabilities.h"

namespace kist::runtime {
namespace {

constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr size_t kMaxMounts = 1000;
constexpr size_t kMaxLowers = 500;  // The kernel's own limit.

Result<void> want_absolute(std::string_view what, const std::string& path) {
  if (path.empty() || path[0] != '/')
    return Error(Code::invalid, "{} '{}' is not an absolute path", what, printable(path));
  if (path.size() >= PATH_MAX)
    return Error(Code::invalid, "{} '{}' is longer than {} bytes", what, printable(path), PATH_MAX);
  if (path.find('\0') != std::string::npos)
    return Error(Code::invalid, "{} '{}' has a NUL byte", what, printable(path));
  return {};
}

Result<void> check_root(const RootSource& root) {
  if (root.erofs_image.empty() == root.lowers.empty())
    return Error(Code::invalid, "a root is either an image or folders, got {}",
                 root.lowers.empty() ? "neither" : "both");
  if (!root.erofs_image.empty()) {
    TRY(want_absolute("root image", root.erofs_image));
    TRY(want_absolute("objects folder", root.objects));
  }
  if (root.lowers.size() > kMaxLowers)
    return Error(Code::invalid, "a root of {} folders, the kernel takes at most {}",
                 root.lowers.size(), kMaxLowers);
  for (const std::string& lower : root.lowers) {
    TRY(want_absolute("root folder", lower));
    struct stat st = {};
    if (::stat(lower.c_str(), &st) != 0)
      return Error::from_errno(errno, "root folder '{}'", printable(lower));
    if (!S_ISDIR(st.st_mode))
      return Error(Code::invalid, "root folder '{}' is not a folder", printable(lower));
  }
  return {};
}

Result<void> check(const ContainerSpec& spec) {
  TRY(check_root(spec.root));
  if (spec.args.empty() || spec.args[0].empty()) return Error(Code::invalid, "no command to run");
  for (const std::vector<std::string>* texts : {&spec.args, &spec.env})
    for (const std::string& text : *texts)
      if (text.find('\0') != std::string::npos)
        return Error(Code::invalid, "'{}' has a NUL byte", printable(text));
  TRY(want_absolute("working folder", spec.working_dir));
  if (!spec.upper_folder.empty()) TRY(want_absolute("upper folder", spec.upper_folder));
  if (spec.mounts.size() > kMaxMounts)
    return Error(Code::invalid, "{} mounts, at most {}", spec.mounts.size(), kMaxMounts);
  for (const Mount& mount : spec.mounts) {
    TRY(want_absolute("mount target", mount.target));
    if (mount.type == Mount::Type::bind) TRY(want_absolute("mount source", mount.source));
    if (mount.target.find_first_not_of('/') == std::string::npos)
      return Error(Code::invalid, "a mount cannot replace the root '/'");
  }
  for (const std::string& line : {spec.passwd_line, spec.group_line})
    if (line.find('\n') != std::string::npos)
      return Error(Code::invalid, "account line '{}' is more than one line", printable(line));
  return {};
}

// The escapes that overlayfs undoes in an option string: ':' separates lowers, ',' options.
std::string escaped(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c == ':' || c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string overlay_options(const ContainerSpec& spec, const Plan& plan) {
  std::string out = "lowerdir=";
  for (const std::string& lower : spec.root.lowers) out += escaped(lower) + ":";
  if (spec.root.lowers.empty()) out += fmt::format("base::{}:", escaped(spec.root.objects));
  out.pop_back();
  if (spec.upper_folder.empty())
    out += ",upperdir=upper,workdir=work";
  else
    out += fmt::format(",upperdir={},workdir={},volatile", escaped(spec.upper_folder),
                       escaped(plan.work_folder));
  return out += spec.root.lowers.empty() ? ",metacopy=on,redirect_dir=on" : ",userxattr";
}

// By number: probing costs a mount, and before 6.5 an unknown key is refused only at its end.
bool kernel_is_at_least(int major, int minor) {
  utsname name = {};
  if (::uname(&name) != 0) return true;
  int got_major = 0;
  int got_minor = 0;
  if (std::sscanf(name.release, "%d.%d", &got_major, &got_minor) != 2) return true;
  return got_major > major || (got_major == major && got_minor >= minor);
}

std::vector<std::string> candidates(const ContainerSpec& spec) {
  if (spec.args[0].find('/') != std::string::npos) return {spec.args[0]};
  std::string_view path = kDefaultPath;
  for (const std::string& variable : spec.env)
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  std::vector<std::string> out;
  for (const std::string_view folder : split(path, ':'))
    out.push_back(folder.empty() ? "./" + spec.args[0] : os::join(folder, spec.args[0]));
  return out;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// The path of the terminal that `fd` is, for /dev/console inside: a new devpts does not have it,
// and without any name for it ttyname() fails, which tmux, gpg and sudo take for "no terminal".
std::string terminal_of(int fd) {
  if (::isatty(fd) == 0) return {};
  char name[64];
  return ::ttyname_r(fd, name, sizeof name) == 0 ? name : "";
}

std::string tmpfs_options(uint64_t size_bytes, uint32_t mode) {
  return size_bytes == 0 ? fmt::format("mode={:o}", mode)
                         : fmt::format("mode={:o},size={}", mode, size_bytes);
}

// Folders relative to the scratch tmpfs; mounts_inside.cpp makes them.
std::string discarding_options(const std::string& source, size_t index) {
  return fmt::format("lowerdir={0},upperdir=writes-{1}/upper,workdir=writes-{1}/work,userxattr",
                     escaped(source), index);
}

bool is_unified(const char* mount_point) {
  struct statfs info = {};
  return ::statfs(mount_point, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
}

Result<void> prepare_upper(Plan& plan) {
  const std::string& upper = plan.spec->upper_folder;
  if (upper.empty()) return {};
  plan.work_folder = upper + ".work";
  TRY(os::make_folders(upper));
  // A leftover of a killed run says "volatile, do not mount again".
  TRY(os::remove_tree(plan.work_folder));
  return os::make_folders(plan.work_folder, 0700);
}

void lay_out_fds(Plan& plan) {
  const ContainerSpec& spec = *plan.spec;
  const os::Fd* standard[] = {spec.standard_input, spec.standard_output, spec.standard_error};
  for (int i = 0; i < 3; ++i) plan.fds.push_back(standard[i] == nullptr ? i : standard[i]->get());
  for (const os::Fd* fd : spec.extra_fds) plan.fds.push_back(fd->get());
}

}  // namespace

void choose_user_namespace(Plan& plan, bool user_namespace) {
  const ContainerSpec& spec = *plan.spec;
  plan.user_namespace = user_namespace;
  plan.uid_map = fmt::format("{} {} 1\n", spec.uid, ::geteuid());
  plan.gid_map = fmt::format("{} {} 1\n", spec.gid, ::getegid());
  plan.capabilities =
      user_namespace ? kDefaultCapabilities : kDefaultCapabilities & os::kernel::capabilities();
  // Group 5 is tty by convention of the C library; in a user namespace of one id it has no name.
  plan.devpts_options = user_namespace ? "newinstance,ptmxmode=0666,mode=0620"
                                       : "newinstance,ptmxmode=0666,mode=0620,gid=5";
}

Result<Plan> make_plan(const ContainerSpec& spec) {
  TRY(check(spec));
  Plan plan;
  plan.spec = &spec;
  TRY(prepare_upper(plan), "preparing '{}'", printable(spec.upper_folder));
  plan.cgroup_namespace = is_unified("/sys/fs/cgroup");
  plan.layer_keys = kernel_is_at_least(6, 7);
  if (!plan.layer_keys) plan.overlay_options = overlay_options(spec, plan);
  plan.shm_options = tmpfs_options(spec.shm_bytes, 01777);
  for (const Mount& mount : spec.mounts)
    plan.mounts.push_back({.mount = &mount,
                           .options = mount.discard_writes
                                          ? discarding_options(mount.source, plan.mounts.size())
                                          : tmpfs_options(mount.size_bytes, mount.mode)});
  if (!spec.passwd_line.empty()) plan.passwd_line = spec.passwd_line + "\n";
  if (!spec.group_line.empty()) plan.group_line = spec.group_line + "\n";
  plan.passwd_field = fmt::format(":{}:", spec.uid);
  plan.group_field = fmt::format(":{}:", spec.gid);
  plan.candidates = candidates(spec);
  plan.own_program = os::own_program();
  plan.argv = pointers(spec.args);
  plan.envp = pointers(spec.env);
  lay_out_fds(plan);
  plan.terminal = terminal_of(plan.fds[0]);
  return plan;
}

}  // namespace kist::runtime

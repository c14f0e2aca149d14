#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "bundle/inside.h"
#include "bundle/mount_calls.h"
#include "bundle/sync.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

Device standard_device(const char* path, uint32_t major, uint32_t minor) {
  return {.type = 'c', .path = path, .major = major, .minor = minor, .mode = 0666};
}

// The folder that a path is in, made if missing, and the last name.
struct Place {
  os::Fd folder;
  std::string name;
};
Result<Place> place_of(const os::Fd& root, const std::string& path) {
  std::string clean;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return Error(Code::invalid, "'{}' has '..' in it", printable(path));
    clean.append("/").append(part);
  }
  if (clean.empty()) return Error(Code::invalid, "'{}' names nothing", printable(path));
  Place place;
  place.name = std::string(os::name_of(clean));
  place.folder = TRY(make_inside(root, os::parent_of(clean), true));
  return place;
}

mode_t type_bits(char type) {
  return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

// Where a node cannot be made, the host's own is bound.
Result<void> bind_device(const Place& place, const Device& device) {
  const os::Fd tree = TRY(copy_mount(nullptr, device.path, false));
  struct stat st = {};
  if (::fstat(tree.get(), &st) != 0 || (st.st_mode & S_IFMT) != type_bits(device.type) ||
      st.st_rdev != makedev(device.major, device.minor))
    return Error(Code::denied, "the host's '{}' is another device", printable(device.path));
  if (::mknodat(place.folder.get(), place.name.c_str(), S_IFREG | 0666, 0) != 0 && errno != EEXIST)
    return Error::from_errno(errno, "create a mount target");
  const os::Fd target = TRY(os::open_at(place.folder, place.name, O_PATH | O_NOFOLLOW));
  return attach_mount(tree, target);
}

Result<void> make_device(const os::Fd& root, const Device& device, bool bind) {
  const Place place = TRY(place_of(root, device.path));
  if (bind && device.type != 'p') return bind_device(place, device);
  const mode_t mode = type_bits(device.type) | (device.mode & 07777);
  const dev_t number = makedev(device.major, device.minor);
  if (::mknodat(place.folder.get(), place.name.c_str(), mode, number) != 0) {
    if (errno == EPERM && device.type != 'p') return bind_device(place, device);
    if (errno != EEXIST) return Error::from_errno(errno, "make the node");
    struct stat st = {};
    if (::fstatat(place.folder.get(), place.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        (st.st_mode & S_IFMT) != type_bits(device.type) || st.st_rdev != number)
      return Error(Code::exists, "something else is there already");
    return {};
  }
  if (::fchownat(place.folder.get(), place.name.c_str(), device.uid, device.gid,
                 AT_SYMLINK_NOFOLLOW) != 0)
    return Error::from_errno(errno, "change its owner");
  return {};
}

Result<void> make_links(const os::Fd& dev) {
  constexpr const char* kLinks[][2] = {{"/proc/self/fd", "fd"},
                                       {"/proc/self/fd/0", "stdin"},
                                       {"/proc/self/fd/1", "stdout"},
                                       {"/proc/self/fd/2", "stderr"}};
  for (const auto& link : kLinks)
    if (::symlinkat(link[0], dev.get(), link[1]) != 0 && errno != EEXIST)
      return Error::from_errno(errno, "make the link '{}'", link[1]);
  if (os::exists("/proc/kcore") && ::symlinkat("/proc/kcore", dev.get(), "core") != 0 &&
      errno != EEXIST)
    return Error::from_errno(errno, "make the link 'core'");
  // One of the image would lead to the host's terminals.
  ::unlinkat(dev.get(), "ptmx", 0);
  if (::symlinkat("pts/ptmx", dev.get(), "ptmx") != 0 && errno != EEXIST)
    return Error::from_errno(errno, "make the link 'ptmx'");
  return {};
}

// As runc: who mounts the host's /dev wants it as it is.
bool brings_own_dev(const Spec& spec) {
  for (const Mount& mount : spec.mounts)
    if (mount.options.bind && (mount.destination == "/dev" || mount.destination == "/dev/"))
      return true;
  return false;
}

}  // namespace

Result<void> make_devices(const InitPlan& plan, const os::Fd& root) {
  const Spec& spec = *plan.spec;
  if (brings_own_dev(spec) || spec.find_namespace(CLONE_NEWNS) == nullptr) return {};
  std::vector<Device> devices = spec.devices;
  constexpr uint32_t kMemory = 1;
  constexpr uint32_t kTerminal = 5;
  for (const auto& [path, major, minor] :
       {std::tuple{"/dev/null", kMemory, 3u}, {"/dev/zero", kMemory, 5u}, {"/dev/full", kMemory, 7u},
        {"/dev/random", kMemory, 8u}, {"/dev/urandom", kMemory, 9u}, {"/dev/tty", kTerminal, 0u}}) {
    bool given = false;
    for (const Device& device : spec.devices) given |= device.path == path;
    if (!given) devices.push_back(standard_device(path, major, minor));
  }
  for (const Device& device : devices)
    TRY(make_device(root, device, plan.user_namespace), "the device '{}'", printable(device.path));
  const os::Fd dev = TRY(open_inside(root, "/dev", O_PATH | O_DIRECTORY));
  TRY(make_links(dev), "filling /dev");
  return {};
}

Result<void> take_terminal(const Process& process, const os::Fd& root, const os::Fd& socket,
                           bool console) {
  const os::Fd master = TRY(open_inside(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY),
                            "process.terminal needs a devpts on /dev/pts");
  struct stat st = {};
  if (!is_on(master, DEVPTS_SUPER_MAGIC) || ::fstat(master.get(), &st) != 0 ||
      st.st_rdev != makedev(5, 2))
    return Error(Code::denied, "/dev/pts/ptmx is not that of a devpts");
  int locked = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &locked) != 0)
    return Error::from_errno(errno, "unlock the terminal");
  // By number, not by name: a name could be swapped.
  const os::Fd terminal(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.is_open()) return Error::from_errno(errno, "open the terminal");
  if (process.console_rows != 0 || process.console_columns != 0) {
    const winsize size = {process.console_rows, process.console_columns, 0, 0};
    if (::ioctl(terminal.get(), TIOCSWINSZ, &size) != 0)
      return Error::from_errno(errno, "set the size of the terminal");
  }
  // The group stays that of the devpts (tty). Ids that are not mapped cannot own it.
  if (::fchown(terminal.get(), process.user.uid, static_cast<gid_t>(-1)) != 0 && errno != EPERM &&
      errno != EINVAL)
    return Error::from_errno(errno, "give the terminal to the user");
  if (console) {
    const Place place = TRY(place_of(root, "/dev/console"));
    if (::mknodat(place.folder.get(), "console", S_IFREG | 0666, 0) != 0 && errno != EEXIST)
      return Error::from_errno(errno, "create /dev/console");
    const os::Fd target = TRY(os::open_at(place.folder, "console", O_PATH | O_NOFOLLOW));
    const os::Fd tree = TRY(copy_mount(&terminal, "", false));
    TRY(attach_mount(tree, target), "mounting /dev/console");
  }
  TRY(send(socket, Step::terminal, 0, {}, &master));
  for (int i = 0; i < 3; ++i)
    if (::dup2(terminal.get(), i) < 0) return Error::from_errno(errno, "place a descriptor");
  (void)::setsid();
  if (::ioctl(0, TIOCSCTTY, 0) != 0) return Error::from_errno(errno, "take the terminal");
  return {};
}

}  // namespace kist::bundle

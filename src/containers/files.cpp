// Mounts need a namespace to be made in: a child goes there and sends back descriptors. A mount that is attached nowhere lives for as long as somebody has
// one open; with mounts inside it the namespace must stay, and so must the child.
#include "containers/files.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include "base/text.h"
#include "bundle/mount_calls.h"
#include "bundle/spawn.h"
#include "bundle/sync.h"
#include "containers/id_maps.h"
#include "os/kernel.h"

namespace kist::containers {
namespace {

constexpr int kMostMoments = 300;  // Of 10 ms.

Result<void> enter_fresh_namespace() {
  if (::unshare(CLONE_NEWNS) != 0) return Error::from_errno(errno, "make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Error::from_errno(errno, "make the mounts private");
  return {};
}

struct Attached {
  std::string source, destination;
  bool read_only = false;
};

Result<void> make_read_only(const os::Fd& mount, bool recursive) {
  mount_attr change = {};
  change.attr_set = MOUNT_ATTR_RDONLY;
  return bundle::change_mount(mount, change, recursive);
}

Result<void> attach_all(const os::Fd& root, const std::vector<Attached>& mounts) {
  // On top of "/", where this process does not see it: paths of the host stay what they are.
  if (::syscall(SYS_move_mount, root.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return Error::from_errno(errno, "mount the root file system");
  for (const Attached& mount : mounts) {
    const os::Fd tree = TRY(bundle::copy_mount(nullptr, mount.source, true));
    // As its first start would do: where it has never run the image need not have the place.
    const os::Fd target = TRY(bundle::make_inside(root, mount.destination, bundle::is_folder(tree)), "mounting '{}'", printable(mount.destination));
    if (mount.read_only) TRY(make_read_only(tree, true));
    TRY(bundle::attach_mount(tree, target), "mounting '{}'", printable(mount.destination));
  }
  return {};
}

}  // namespace

class ContainerFiles::Keeper {
 public:
  Keeper(pid_t pid, os::Fd socket) : pid_(pid), socket_(std::move(socket)) {}
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper() {
    socket_ = os::Fd();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  const os::Fd& socket() const { return socket_; }

 private:
  pid_t pid_;
  os::Fd socket_;
};

void ContainerFiles::Deleter::operator()(Keeper* keeper) const { delete keeper; }

namespace {

// `body` in a child; what it opens comes back, and the child stays until its socket is closed.
using Body = std::function<Result<os::Fd>()>;

struct FromChild {
  pid_t pid;
  os::Fd socket;
};

Result<FromChild> start_child(const Body& body) {
  bundle::SocketPair pair = TRY(bundle::make_socket_pair());
  const pid_t pid = ::fork();
  if (pid < 0) return Error::from_errno(errno, "start a process");
  if (pid == 0) {
    pair.outside = os::Fd();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto opened = body();
    if (!opened) {
      (void)bundle::send(pair.inside, bundle::Step::failed, 0, bundle::packed(opened.error())).has_value();
      ::_exit(1);
    }
    (void)bundle::send(pair.inside, bundle::Step::ready, 0, {}, &*opened).has_value();
    (void)bundle::wait_for_end(pair.inside).has_value();
    ::_exit(0);
  }
  return FromChild{pid, std::move(pair.outside)};
}

Result<os::Fd> receive_fd(const os::Fd& socket) {
  auto message = TRY(bundle::receive(socket));
  if (!message) return Error(Code::unavailable, "the process that mounts a container's files died");
  if (message->step == bundle::Step::failed) return bundle::unpacked(message->text);
  return std::move(message->fd);
}

Result<std::vector<Attached>> mounts_of(const MachineHost& host, const Record& record) {
  std::vector<Attached> out;
  for (const MountRequest& mount : record.mounts) {
    if (mount.type == "bind") out.push_back({mount.source, mount.destination, mount.read_only});
    if (mount.type != "volume" || !host.volumes.exists(mount.source)) continue;
    std::string path = TRY(host.volumes.open(mount.source));
    out.push_back({std::move(path), mount.destination, mount.read_only});
  }
  std::stable_sort(out.begin(), out.end(), [](const Attached& a, const Attached& b) {
    return std::count(a.destination.begin(), a.destination.end(), '/') <
           std::count(b.destination.begin(), b.destination.end(), '/');
  });
  return out;
}

Result<os::Fd> root_of_running(const os::Fd& process, bool mounts) {
  if (::setns(process.get(), CLONE_NEWNS) != 0) return Error::from_errno(errno, "enter the container");
  if (mounts) return os::open_file("/", O_PATH | O_DIRECTORY);
  return bundle::copy_mount(nullptr, "/", false);
}

Result<os::Fd> user_namespace_of(const MachineHost& host, const Record& record) {
  const Status status = TRY(host.place.status(record.id));
  if (status.is_alive()) return os::open_file(fmt::format("/proc/{}/ns/user", status.pid), O_RDONLY);
  IdMaps maps = single_id(host.spec.uid, host.spec.gid);
  if (record.ids == "range") maps = TRY(id_range(host.spec.uid, host.spec.gid));
  if (record.ids != "range" && !record.user.empty()) {
    // Whoever the command is, its files are the caller's.
    const auto number = parse_number(record.user.substr(0, record.user.find(':')));
    if (number && *number < UINT32_MAX) maps.uids[0].inside = static_cast<uint32_t>(*number);
  }
  return bundle::make_user_namespace(maps.uids, maps.gids);
}

}  // namespace

Result<ContainerFiles> ContainerFiles::open(const MachineHost& host, const Record& record, const FilesWanted& wanted) {
  ContainerFiles out;
  Status status = TRY(host.place.status(record.id));
  std::optional<os::Fd> alive;
  // Who starts or ends it just now says so in a moment.
  for (int i = 0; i < kMostMoments && !status.is_alive(); ++i) {
    alive = TRY(host.place.look_after(record.id));
    if (alive) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    status = TRY(host.place.status(record.id));
  }
  const auto ask = [&](const Body& body, bool keep) -> Result<os::Fd> {
    FromChild child = TRY(start_child(body));
    std::unique_ptr<Keeper, Deleter> keeper(new Keeper(child.pid, std::move(child.socket)));
    os::Fd opened = TRY(receive_fd(keeper->socket()));
    if (keep) out.keeper_ = std::move(keeper);
    return opened;
  };
  if (status.is_alive()) {
    const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, status.pid, 0)));
    if (!process.is_open() || !process_lives(status))
      return Error(Code::unavailable, "container {} has just ended", printable(record.name));
    out.root_ = TRY(ask([&] { return root_of_running(process, wanted.mounts); }, false));
  } else {
    if (!alive) return Error(Code::unavailable, "container {} is being started or ended", printable(record.name));
    out.alive_ = std::move(*alive);
    TRY(os::make_folders(host.root.upper, 0755));
    TRY(os::remove_tree(host.root.work));
    TRY(os::make_folders(host.root.work, 0700));
    std::vector<Attached> mounts;
    if (wanted.mounts) mounts = TRY(mounts_of(host, record));
    const auto body = [&]() -> Result<os::Fd> {
      TRY(enter_fresh_namespace());
      os::Fd root = TRY(mount_root(host.root));
      if (!mounts.empty()) {
        TRY(fill_volumes(host, record, root));
        TRY(attach_all(root, mounts));
      }
      if (wanted.mounts && record.read_only) TRY(make_read_only(root, false));
      return root;
    };
    out.root_ = TRY(ask(body, !mounts.empty()));
  }
  if (wanted.image) {
    const auto body = [&]() -> Result<os::Fd> {
      TRY(enter_fresh_namespace());
      return mount_image(host.root);
    };
    out.image_ = TRY(ask(body, false), "showing the image alone");
  }
  if (auto upper = os::open_file(host.root.upper, O_RDONLY | O_DIRECTORY); upper && !host.root.upper.empty())
    out.upper_ = std::move(*upper);
  return out;
}

Result<os::Fd> copy_mount_of(const Status& status, const std::string& path, bool in_user_namespace) {
  const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, status.pid, 0)));
  if (!process.is_open() || !process_lives(status))
    return Error(Code::unavailable, "container {} has just ended", printable(status.name));
  FromChild child = TRY(start_child([&]() -> Result<os::Fd> {
    if (::setns(process.get(), CLONE_NEWNS | (in_user_namespace ? CLONE_NEWUSER : 0)) != 0)
      return Error::from_errno(errno, "enter container {}", printable(status.name));
    return bundle::copy_mount(nullptr, path, false);
  }));
  auto opened = receive_fd(child.socket);
  child.socket = os::Fd();
  while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return opened;
}

Result<void> with_ids_of(const MachineHost& host, const Record& record, const std::function<Result<void>()>& body) {
  if (host.spec.is_root) return body();
  const os::Fd users = TRY(user_namespace_of(host, record), "the ids of container {}", printable(record.name));
  const auto inside = [&]() -> Result<os::Fd> {
    if (::setns(users.get(), CLONE_NEWUSER) != 0) return Error::from_errno(errno, "enter the user namespace of the container");
    TRY(body());
    return os::open_file("/dev/null", O_RDONLY);
  };
  FromChild child = TRY(start_child(inside));
  const auto done = receive_fd(child.socket);
  child.socket = os::Fd();
  while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!done) return done.error();
  return {};
}

}  // namespace kist::containers

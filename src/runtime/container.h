// Runs one command in a container, in the foreground, and says how it ended.
//
//   runtime::ContainerSpec spec;
//   spec.root.lowers = {"/home/ada/.local/share/kist/roots/ab12"};
//   spec.args = {"python", "train.py"};
//   spec.env = {"PATH=/usr/bin:/bin", "HOME=/home/ada"};
//   spec.mounts = {{.source = "/home/ada/penguins", .target = "/home/ada/penguins"}};
//   spec.working_dir = "/home/ada/penguins";
//   const runtime::Exit exit = TRY(runtime::run(spec));
//
// This library is on the path that starts a program in milliseconds: it needs libc and base/ only,
// writes nothing to a disk but what the container itself writes, and never calls fsync.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace kist::runtime {

/// What the container sees below its own writes. Exactly one of the two forms:
///   A  `erofs_image` and `objects`: a metadata image mounted from the file, whose regular files
///      are looked up in the folder `objects` (overlay metacopy/redirect). Only for root,
///      Linux 6.12.
///   B  `lowers`: plain folders, the topmost first, with user.overlay.* attributes obeyed.
/// All are absolute paths on the host and are never written to.
struct RootSource {
  std::string erofs_image;
  std::vector<std::string> lowers;
  std::string objects;
};

/// One more thing to see inside. A missing target is made (in the upper, never in a lower), and is
/// resolved inside the root: a link in the image cannot lead a mount out of it.
struct Mount {
  enum class Type { bind, tmpfs };
  Type type = Type::bind;
  std::string source;  // bind: absolute path on the host, file or folder; must exist.
  std::string target;  // Absolute path inside.
  bool read_only = false;
  bool recursive = true;    // bind: mounts below the source come along (always so without root).
  /// bind of a folder: what is written goes to memory and dies with the container. Where the kernel
  /// cannot lay an overlay over the source, it is read-only instead.
  bool discard_writes = false;
  uint64_t size_bytes = 0;  // tmpfs: 0 is the kernel's default, half of the memory.
  uint32_t mode = 01777;    // tmpfs: of its top folder.
};

enum class Network {
  host,  // The caller's network, as it is.
  none,  // Loopback only.
};

/// 0: no limit.
struct Limits {
  uint64_t memory_bytes = 0;
  double cpus = 0;  // 1.5 is one and a half cores' time.
  uint64_t pids = 0;
};

/// As setrlimit(2). What is above the caller's own hard limit is lowered to it, in silence: raising
/// it would need CAP_SYS_RESOURCE, and Docker's failing there has cost people whole afternoons.
struct ResourceLimit {
  int resource = 0;  // RLIMIT_NOFILE …
  uint64_t soft = 0;
  uint64_t hard = 0;
};

struct ContainerSpec {
  RootSource root;
  /// Where writes go. Empty: a tmpfs that dies with the container. Else a folder on disk (made when
  /// missing) that is kept, in overlayfs's own form (whiteouts are 0:0 character devices or
  /// user.overlay.whiteout, opaque folders have an attribute), so that the caller can harvest it
  /// when run() has returned; mount targets that the root lacks are in it as empty files and
  /// folders. "UPPER.work" beside it is used meanwhile and removed.
  std::string upper_folder;
  std::vector<Mount> mounts;  // In this order; later ones may lie inside earlier ones.

  std::vector<std::string> args;  // args[0]: a path inside, or a name to look up on env's PATH.
  std::vector<std::string> env;   // "NAME=value"; exactly these.
  std::string working_dir = "/";  // Inside; made when missing.

  /// As seen inside. Without root every id inside is the caller outside, whatever it is called
  /// here (so `--root` is uid = 0, gid = 0). With root they are switched to for real.
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  std::vector<gid_t> groups;  // Supplementary groups; only root can give any.
  /// "ada:x:1000:1000::/home/ada:/bin/sh" and "ada:x:1000:", without a newline: shown in
  /// /etc/passwd and /etc/group when the image has no entry with this id. Empty: image as it is.
  std::string passwd_line;
  std::string group_line;

  std::string hostname;  // Empty: the host's.
  Network network = Network::host;
  bool host_network_files = true;  // The host's /etc/resolv.conf and /etc/hosts, read-only.
  bool read_only_root = false;     // /tmp, /run, /dev and `mounts` stay writable.
  uint64_t shm_bytes = 0;          // Of /dev/shm. 0: half of the memory.

  Limits limits;
  bool best_effort = false;  // A limit that cannot be enforced is dropped, not an error.
  std::vector<ResourceLimit> resource_limits;

  mode_t umask = 022;  // The command's.
  bool no_new_privs = true;
  bool keep_capabilities =
      false;  // Inside a user namespace: all of it. As root: all of the caller's.
  bool no_seccomp = false;

  /// Lent; null: the caller's own. For helper containers whose output is captured.
  const os::Fd* standard_input = nullptr;
  const os::Fd* standard_output = nullptr;
  const os::Fd* standard_error = nullptr;
  std::vector<const os::Fd*> extra_fds;  // Become 3, 4, … inside. All others are closed.

  /// Pass TERM, INT, HUP, QUIT, USR1, USR2, WINCH, CONT and TSTP on, and stop when the command
  /// stops, as if the command were the caller's own child. Takes over the signal mask of this
  /// thread while run() runs, so leave it off where threads run several containers at once.
  bool forward_signals = true;
};

/// How it ended, as `docker run` tells it.
struct Exit {
  int status = 0;  // The command's own, 128 + signal, 126 cannot be executed, 127 not found.
  /// Why, when the status is 126 or 127 because we could not execute args[0]: to be rendered.
  std::optional<Error> not_started;
};

/// Makes the container, runs the command and waits for it. When this returns no process of the
/// container is left; when this process dies, however it dies, they die too.
///
/// Blocks. May be called from several threads at once if forward_signals is off.
/// Errors (the caller exits 125; nothing ran):
///   invalid      the spec contradicts itself, or names a path that is not absolute
///   not_found    a lower, an image, or the source of a mount does not exist
///   denied       no user namespaces here, or a limit that cannot be enforced
///   unsupported  the kernel lacks something; says what
Result<Exit> run(const ContainerSpec& spec);

}  // namespace kist::runtime

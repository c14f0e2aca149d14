#include "containers/shared_spaces.h"

#include "base/text.h"
#include "containers/files.h"

namespace kist::containers {
namespace {

Result<Status> running(const Place& place, std::string_view space, const char* flag) {
  const std::string id = TRY(place.find(space.substr(kOfContainer.size())), "{} {}", flag, printable(space));
  Status other = TRY(place.status(id));
  if (other.is_alive()) return other;
  return Error(Code::invalid, "{}: cannot join a container that does not run: container {} is not running", flag,
               printable(other.name))
      .hint(fmt::format("`kist start {}`", other.name));
}

// A plain user's namespaces belong to a user namespace, and a process is in one only.
Result<void> join_users(const Status& other, const char* flag, SpecHost& host) {
  if (host.is_root) return {};
  std::string theirs = fmt::format("/proc/{}/ns/user", other.pid);
  if (!host.user_namespace.empty() && host.user_namespace != theirs)
    return Error(Code::unsupported, "{}: a plain user's container can share with one other container only", flag)
        .hint(fmt::format("name {} everywhere", printable(other.name)));
  host.user_namespace = std::move(theirs);
  return {};
}

}  // namespace

Result<os::Fd> join_others(const Place& place, const Record& record, SpecHost& host) {
  if (record.pid.starts_with(kOfContainer)) {
    const Status other = TRY(running(place, record.pid, "--pid"));
    host.pid_namespace = fmt::format("/proc/{}/ns/pid", other.pid);
    TRY(join_users(other, "--pid", host));
  }
  if (!record.ipc.starts_with(kOfContainer)) return os::Fd();
  const Status other = TRY(running(place, record.ipc, "--ipc"));
  const Record theirs = TRY(place.record(other.id));
  if (theirs.ipc == "private" || theirs.ipc == "none" || theirs.ipc == "host")
    return Error(Code::invalid, "--ipc: container {} shares no IPC namespace of its own: it was made with --ipc {}",
                 printable(other.name), theirs.ipc)
        .hint("make it with `--ipc shareable`, the default");
  host.ipc_namespace = fmt::format("/proc/{}/ns/ipc", other.pid);
  TRY(join_users(other, "--ipc", host));
  return copy_mount_of(other, "/dev/shm", !host.is_root);
}

}  // namespace kist::containers

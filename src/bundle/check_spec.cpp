// What a configuration asks for must fit together.
#include <linux/sched.h>
#include <sched.h>

#include <algorithm>

#include "base/text.h"
#include "bundle/making.h"

namespace kist::bundle {
namespace {

Result<void> check_sysctls(const Spec& spec) {
  constexpr const char* kOfIpc[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",
                                    "kernel.sem",    "kernel.shmall", "kernel.shmmax",
                                    "kernel.shmmni", "kernel.shm_rmid_forced"};
  for (const auto& [given, value] : spec.sysctl) {
    std::string name = given;
    std::replace(name.begin(), name.end(), '/', '.');
    const bool ipc = name.starts_with("fs.mqueue.") ||
                     std::find(std::begin(kOfIpc), std::end(kOfIpc), name) != std::end(kOfIpc);
    const bool uts = name == "kernel.domainname" || name == "kernel.hostname";
    const uint64_t flag = ipc                       ? CLONE_NEWIPC
                          : name.starts_with("net.") ? CLONE_NEWNET
                          : uts                     ? CLONE_NEWUTS
                                                    : 0;
    if (flag == 0)
      return Error(Code::invalid, "linux.sysctl.{}: would change the whole host", printable(given));
    if (spec.find_namespace(flag) == nullptr)
      return Error(Code::invalid, "linux.sysctl.{}: needs a namespace of its own in "
                   "linux.namespaces, or it would change the host", printable(given));
  }
  return {};
}

}  // namespace

Result<void> check_spec(const Spec& spec, const CreateOptions& options) {
  if (!spec.process) return Error(Code::invalid, "process: is missing");
  const bool mounts = spec.find_namespace(CLONE_NEWNS) != nullptr;
  const bool uts = spec.find_namespace(CLONE_NEWUTS) != nullptr;
  if (!uts && !(spec.hostname.empty() && spec.domainname.empty()))
    return Error(Code::invalid, "hostname: needs a namespace of type \"uts\" in linux.namespaces");
  if (!mounts && !(spec.masked_paths.empty() && spec.readonly_paths.empty()))
    return Error(Code::invalid, "linux.maskedPaths, linux.readonlyPaths: need a namespace of type "
                 "\"mount\" in linux.namespaces");
  const Namespace* user = spec.find_namespace(CLONE_NEWUSER);
  if (user != nullptr && user->path.empty() && (spec.uid_maps.empty() || spec.gid_maps.empty()))
    return Error(Code::invalid,
                 "linux.uidMappings: a new user namespace needs uidMappings and gidMappings");
  // Maps beside a namespace that is joined, or without one, mean nothing; podman writes such.
  if (!spec.process->terminal && !options.console_socket.empty())
    return Error(Code::invalid, "a console socket is given, but process.terminal is false");
  return check_sysctls(spec);
}

}  // namespace kist::bundle

#include <unistd.h>

#include <cerrno>

#include "os/files.h"
#include "runtime_cli/command.h"

namespace kist::runtime_cli {
namespace {

constexpr Option kBundle = {"bundle", "b", "FOLDER", "with config.json; default: this folder"};
constexpr Option kConsole = {"console-socket", "", "SOCKET", "that gets the terminal's other end"};
constexpr Option kPidfd = {"pidfd-socket", "", "SOCKET", "that gets a pidfd of the process"};
constexpr Option kPidFile = {"pid-file", "", "FILE", "to write the process id to"};
constexpr Option kNoPivot = {"no-pivot", "", "", "where the root is on a ramdisk"};
constexpr Option kNoKeyring = {"no-new-keyring", "", "", "keep the caller's session keyring"};
constexpr Option kPreserve = {"preserve-fds", "", "N", "pass N more descriptors, from 3 on"};
constexpr Option kDetach = {"detach", "d", "", "do not wait for the process"};
constexpr Option kNoSubreaper = {"no-subreaper", "", "", "leave orphans to somebody else"};

constexpr Option kCreate[] = {kBundle, kConsole, kPidfd, kPidFile, kNoPivot, kNoKeyring, kPreserve};
constexpr Option kRun[] = {kBundle,   kConsole,   kPidfd,    kPidFile,
                           kNoPivot,  kNoKeyring, kPreserve, kDetach,
                           {"keep", "", "", "do not delete the container when it ends"},
                           kNoSubreaper};
constexpr Option kExec[] = {
    kConsole,
    kPidfd,
    {"cwd", "", "FOLDER", "working folder inside"},
    {"env", "e", "NAME=VALUE", "set a variable; may be repeated"},
    {"tty", "t", "", "give it a terminal"},
    {"user", "u", "UID[:GID]", "run as"},
    {"additional-gids", "g", "GID", "more groups; may be repeated"},
    {"process", "p", "FILE", "the process as JSON"},
    kDetach,
    kPidFile,
    {"process-label", "", "LABEL", "of SELinux"},
    {"apparmor", "", "PROFILE", "of AppArmor"},
    {"no-new-privs", "", "", "no new privileges"},
    {"cap", "c", "CAPABILITY", "give one more; may be repeated"},
    kPreserve,
    {"cgroup", "", "PATH", "a cgroup below that of the container"},
    {"ignore-paused", "", "", "also in a paused container"},
};
constexpr Option kKill[] = {{"all", "a", "", "every process of the container"}};
constexpr Option kDelete[] = {{"force", "f", "", "kill it first, if it still runs"}};
constexpr Option kList[] = {{"format", "f", "FORMAT", "table (default) or json"},
                            {"quiet", "q", "", "only the ids"}};
constexpr Option kPs[] = {{"format", "f", "FORMAT", "table (default) or json"}};
constexpr Option kEvents[] = {{"interval", "", "TIME", "between two counts; default 5s"},
                              {"stats", "", "", "count once and end"}};
constexpr Option kUpdate[] = {
    {"resources", "r", "FILE", "with a JSON object of linux.resources; - is standard input"},
    {"blkio-weight", "", "N", "10 to 1000"},
    {"cpu-period", "", "US", "of the processor's quota"},
    {"cpu-quota", "", "US", "of processor time in each period"},
    {"cpu-burst", "", "US", "that may be saved up"},
    {"cpu-share", "", "N", "relative to others"},
    {"cpu-rt-period", "", "US", "of the realtime quota"},
    {"cpu-rt-runtime", "", "US", "of realtime in each period"},
    {"cpuset-cpus", "", "LIST", "processors that may be used"},
    {"cpuset-mems", "", "LIST", "memory nodes that may be used"},
    {"cpu-idle", "", "0|1", "only time that nobody else wants"},
    {"kernel-memory", "", "BYTES", "ignored: kernels have given it up"},
    {"kernel-memory-tcp", "", "BYTES", "ignored: kernels have given it up"},
    {"memory", "", "BYTES", "limit"},
    {"memory-reservation", "", "BYTES", "soft limit"},
    {"memory-swap", "", "BYTES", "of memory and swap together; -1: no limit"},
    {"pids-limit", "", "N", "most processes; -1: no limit"},
    {"l3-cache-schema", "", "TEXT", "not supported (Intel RDT)"},
    {"mem-bw-schema", "", "TEXT", "not supported (Intel RDT)"},
};
constexpr Option kSpec[] = {{"bundle", "b", "FOLDER", "to write config.json to"},
                            {"rootless", "", "", "for a plain user"}};
constexpr Option kCheckpoint[] = {
    {"image-path", "", "FOLDER", "for the images"},
    {"work-path", "", "FOLDER", "for logs"},
    {"parent-path", "", "FOLDER", "of an earlier pre-dump"},
    {"leave-running", "", "", "do not stop it"},
    {"tcp-established", "", "", "allow open connections"},
    {"ext-unix-sk", "", "", "allow external unix sockets"},
    {"shell-job", "", "", "allow a terminal from outside"},
    {"lazy-pages", "", "", "restore memory lazily"},
    {"status-fd", "", "FD", "told when lazy pages are ready"},
    {"page-server", "", "ADDRESS:PORT", "for memory"},
    {"file-locks", "", "", "keep file locks"},
    {"pre-dump", "", "", "memory only, and leave it running"},
    {"manage-cgroups-mode", "", "MODE", "soft, full, strict, ignore"},
    {"empty-ns", "", "NAMESPACE", "do not keep its properties"},
    {"auto-dedup", "", "", "no memory twice"},
};
constexpr Option kRestore[] = {
    kConsole, kBundle, kDetach, kPidFile, kNoSubreaper, kNoPivot,
    {"image-path", "", "FOLDER", "of the images"},
    {"work-path", "", "FOLDER", "for logs"},
    {"tcp-established", "", "", "allow open connections"},
    {"ext-unix-sk", "", "", "allow external unix sockets"},
    {"shell-job", "", "", "allow a terminal from outside"},
    {"file-locks", "", "", "keep file locks"},
    {"manage-cgroups-mode", "", "MODE", "soft, full, strict, ignore"},
    {"empty-ns", "", "NAMESPACE", "do not restore its properties"},
    {"auto-dedup", "", "", "no memory twice"},
    {"lazy-pages", "", "", "restore memory lazily"},
    {"lsm-profile", "", "TYPE:NAME", "of a security module"},
    {"lsm-mount-context", "", "CONTEXT", "of a security module"},
};

constexpr std::string_view kId = "<container-id>";
constexpr size_t kMany = 100'000;

constexpr Command kCommands[] = {
    {"checkpoint", kId, "checkpoint a running container", kCheckpoint, 1, 1, false, run_checkpoint},
    {"create", kId, "create a container", kCreate, 1, 1, false, run_create},
    {"delete", kId, "delete any resources held by the container", kDelete, 1, 1, false, run_delete},
    {"events", kId, "show what a container uses, and when it runs out of memory", kEvents, 1, 1,
     false, run_events},
    {"exec", "<container-id> <command> [arguments]", "execute a new process inside the container",
     kExec, 1, kMany, true, run_exec},
    {"features", "", "show what this runtime can do, as JSON", {}, 0, 0, false, run_features},
    {"kill", "<container-id> [signal]", "send a signal (default TERM) to the first process", kKill, 1,
     2, false, run_kill},
    {"list", "", "list the containers", kList, 0, 0, false, run_list},
    {"pause", kId, "suspend all processes of the container", {}, 1, 1, false, run_pause},
    {"ps", "<container-id> [options of ps]", "show the processes of the container", kPs, 1, kMany,
     true, run_ps},
    {"restore", kId, "restore a container from a checkpoint", kRestore, 1, 1, false, run_restore},
    {"resume", kId, "let paused processes go on", {}, 1, 1, false, run_resume},
    {"run", kId, "create and start a container", kRun, 1, 1, false, run_run},
    {"spec", "", "write a new config.json", kSpec, 0, 0, false, run_spec},
    {"start", kId, "start a created container", {}, 1, 1, false, run_start},
    {"state", kId, "show the state of a container, as JSON", {}, 1, 1, false, run_state},
    {"update", kId, "change limits of a running container", kUpdate, 1, 1, false, run_update},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

std::string pretty(std::string_view json, std::string_view indent) {
  std::string out;
  unsigned depth = 0;
  bool in_text = false;
  const auto new_line = [&] { 
    out += '\n';
    for (unsigned i = 0; i < depth; ++i) out += indent;
   };
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text) {
      out += c;
      if (c == '\\' && i + 1 < json.size()) out += json[++i];
      if (c == '"') in_text = false;
      continue;
    }
    const bool opens = c == '{' || c == '[';
    const bool closes = c == '}' || c == ']';
    if (opens && i + 1 < json.size() && (json[i + 1] == '}' || json[i + 1] == ']')) {
      out.append(1, c).append(1, json[++i]);
      continue;
    }
    if (closes) --depth, new_line();
    out += c;
    if (c == '"') in_text = true;
    if (c == ':') out += ' ';
    if (opens) ++depth;
    if (opens || c == ',') new_line();
  }
  return out;
}

Result<void> print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(1, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Error::from_errno(errno, "write to standard output");
    text.remove_prefix(static_cast<size_t>(wrote));
  }
  return {};
}

}  // namespace kist::runtime_cli

// CRIU makes the namespaces, the mounts and the processes; what is around them is made here as for any
// container: the name, the cgroups, the root, and whatever came from outside.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "bundle/criu.h"
#include "bundle/hooks.h"
#include "bundle/making.h"
#include "bundle/spawn.h"
#include "bundle/mount_calls.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

constexpr int kFirstStream = 3;  // The container's streams, where CRIU looks for them.
constexpr int kNetwork = 6;
// CRIU stops itself when all processes are there and none has gone on: what they may use of devices is
// restricted then, since CRIU, in the same cgroups, wants some for itself before.
constexpr const char* kStopWhenRestored = "#!/bin/sh\n[ \"$CRTOOLS_SCRIPT_ACTION\" != post-restore ] || kill -STOP $PPID\n";
constexpr uint64_t kMostExternalBytes = 4u << 20;

struct Source {
  std::string at;    // In the container.
  std::string path;  // On the host.
  bool read_only = false;
};

struct Restoring {
  const Runtime& runtime;
  const Spec& spec;
  const CreateOptions& options;
  const RestoreOptions& how;
  Externals externals;
  Record record;
  Cgroups cgroups;
  std::vector<Hierarchy> hierarchies;
  Placeholder placeholder;
  std::vector<Source> sources;
  CgroupEntrances entrances;
  os::Fd network;
  std::string work;
  Created created;
};

bool is_below(const std::string& path, const std::string& folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/' || folder == "/");
}

std::string_view last_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Below a mount of type "cgroup": of version 2 the container's own, of 1 one folder for each hierarchy.
std::string cgroup_source(const Restoring& restoring, const std::string& rest) {
  if (rest.empty()) {
    const CgroupFolder* folder = restoring.cgroups.find_v2();
    return folder == nullptr ? std::string() : folder->path;
  }
  for (const CgroupFolder& folder : restoring.cgroups.folders())
    if (last_name(folder.mount_point) == rest.substr(1)) return folder.path;
  for (const Hierarchy& hierarchy : restoring.hierarchies)
    if (last_name(hierarchy.mount_point) == rest.substr(1)) return hierarchy.mount_point;
  return {};
}

Result<Source> source_of(const Restoring& restoring, const std::string& at) {
  const Spec& spec = restoring.spec;
  const Mount* best = nullptr;
  for (const Mount& mount : spec.mounts)
    if (is_below(at, mount.destination) && (best == nullptr || mount.destination.size() >= best->destination.size()))
      best = &mount;
  const auto& masked = spec.masked_paths;
  if (std::find(masked.begin(), masked.end(), at) != masked.end())
    return Source{.at = at, .path = "/dev/null", .read_only = true};
  if (best != nullptr) {
    const std::string rest = at.substr(best->destination.size());
    const MountOptions& options = best->options;
    const bool read_only =
        ((options.attributes_set | options.recursive_set) & MOUNT_ATTR_RDONLY) != 0 || (options.flags & MS_RDONLY) != 0;
    if (options.id_map)
      return Error(Code::unsupported, "mounts: '{}' has its owners mapped: that cannot be restored", printable(at));
    if (options.bind)
      return Source{.at = at, .path = source_path(restoring.record.state.bundle, *best) + rest, .read_only = read_only};
    if (best->type == "cgroup" || best->type == "cgroup2")
      if (std::string path = cgroup_source(restoring, rest); !path.empty())
        return Source{.at = at, .path = std::move(path), .read_only = read_only};
  }
  constexpr std::string_view kDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};
  if (std::find(std::begin(kDevices), std::end(kDevices), at) != std::end(kDevices)) return Source{.at = at, .path = at};
  return Error(Code::invalid, "the images have a mount at '{}' that came from outside, and config.json has none there",
               printable(at))
      .hint("restore with the configuration that the container had, or with one more entry in `mounts`");
}

// CRIU sets a file's position as it was.
Result<void> check_streams(const Restoring& restoring) {
  const StandardStreams& given = restoring.options.streams;
  const os::Fd* streams[] = {given.input, given.output, given.error};
  constexpr const char* kNames[] = {"input", "output", "error"};
  for (size_t i = 0; i < restoring.externals.streams.size(); ++i) {
    if (!restoring.externals.streams[i].starts_with("file[")) continue;
    if (::lseek(streams[i] != nullptr ? streams[i]->get() : static_cast<int>(i), 0, SEEK_CUR) >= 0) continue;
    return Error(Code::invalid, "the container's standard {} was a file, and would be a pipe or a socket now", kNames[i])
        .hint("send it to a file, or to /dev/null");
  }
  return {};
}

Result<void> prepare(Restoring& restoring, const StateFolder& folder) {
  Restoring& r = restoring;
  TRY(check_streams(r));
  r.hierarchies = TRY(read_cgroup_hierarchies());
  r.cgroups = TRY(make_cgroups(r.runtime, r.spec, folder, r.hierarchies, r.record, r.placeholder));
  r.entrances = TRY(r.cgroups.entrances());
  for (const std::string& at : r.externals.mounts) {
    Source source = TRY(source_of(r, at));
    r.sources.push_back(std::move(source));
  }
  const Namespace* network = r.spec.find_namespace(CLONE_NEWNET);
  const bool joins = network != nullptr && !network->path.empty();
  if (joins != !r.externals.network.empty())
    return Error(Code::invalid, "linux.namespaces: the images want a network {}",
                 joins ? "of the container's own" : "namespace that is joined by its path");
  if (joins) r.network = TRY(os::open_file(network->path, O_RDONLY), "linux.namespaces");
  return {};
}

// A place for each source that has to be read-only, since CRIU binds what it is given as it is.
Result<void> place_read_only(Source& source, const std::string& folder, size_t number) {
  struct stat st = {};
  if (::stat(source.path.c_str(), &st) != 0) return Error::from_errno(errno, "look at '{}'", printable(source.path));
  const std::string place = os::join(folder, fmt::format("mount-{}", number));
  if (S_ISDIR(st.st_mode)) {
    TRY(os::make_folders(place, 0700));
  } else {
    TRY(os::open_file(place, O_CREAT | O_WRONLY, 0600));
  }
  const os::Fd tree = TRY(copy_mount(nullptr, source.path, true));
  mount_attr change = {};
  change.attr_set = MOUNT_ATTR_RDONLY;
  TRY(change_mount(tree, change, true));
  const os::Fd target = TRY(os::open_file(place, O_PATH));
  TRY(attach_mount(tree, target));
  source.path = place;
  return {};
}

void remove_places(const Restoring& restoring) {
  for (size_t i = 0; i < restoring.sources.size(); ++i)
    (void)os::remove_tree(os::join(restoring.work, fmt::format("mount-{}", i))).has_value();
}

Result<void> make_surroundings(Restoring& restoring) {
  TRY(enter_v1(restoring.entrances));
  TRY(enter_v2(restoring.entrances));
  // With "ignore" CRIU leaves the cgroup namespace to us, too.
  if ((restoring.record.namespaces & CLONE_NEWCGROUP) != 0 && ::unshare(CLONE_NEWCGROUP) != 0)
    return Error::from_errno(errno, "make a cgroup namespace");
  if (::unshare(CLONE_NEWNS) != 0) return Error::from_errno(errno, "make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return Error::from_errno(errno, "set the propagation of the mounts");
  // CRIU wants the root to be a mount.
  const char* root = restoring.record.state.root.c_str();
  if (::mount(root, root, nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return Error::from_errno(errno, "mount the root file system");
  for (size_t i = 0; i < restoring.sources.size(); ++i)
    if (restoring.sources[i].read_only)
      TRY(place_read_only(restoring.sources[i], restoring.work, i), "the mount at '{}'",
          printable(restoring.sources[i].at));
  return {};
}

std::string script_of(const Restoring& restoring) { return os::join(restoring.work, "restored.sh"); }

std::vector<std::string> command_of(const Restoring& restoring, const std::string& pid_file, const std::string& log) {
  std::vector<std::string> out = criu_command("restore", restoring.how.criu, restoring.work, log);
  const auto add = [&](std::vector<std::string> more) { out.insert(out.end(), more.begin(), more.end()); };
  add({"--root", restoring.record.state.root, "--restore-detached", "--restore-sibling", "--pidfile", pid_file});
  add({"--action-script", script_of(restoring)});
  for (const Source& source : restoring.sources) add({"--external", fmt::format("mnt[{}]:{}", source.at, source.path)});
  std::vector<std::string> known;
  for (size_t i = 0; i < restoring.externals.streams.size(); ++i) {
    const std::string& name = restoring.externals.streams[i];
    if (name.empty() || std::find(known.begin(), known.end(), name) != known.end()) continue;
    known.push_back(name);
    add({"--inherit-fd", fmt::format("fd[{}]:{}", static_cast<size_t>(kFirstStream) + i, name)});
  }
  if (restoring.network.is_open())
    add({"--inherit-fd", fmt::format("fd[{}]:{}", kNetwork, restoring.externals.network)});
  if (!restoring.how.lsm_profile.empty()) add({"--lsm-profile", restoring.how.lsm_profile});
  if (!restoring.how.lsm_mount_context.empty()) add({"--lsm-mount-context", restoring.how.lsm_mount_context});
  return out;
}

// Numbers are given anew only when all are safe from each other.
Result<void> place_descriptors(const Restoring& restoring) {
  constexpr int kSafe = 100;
  const StandardStreams& given = restoring.options.streams;
  const os::Fd* streams[] = {given.input, given.output, given.error};
  os::Fd copies[4];
  for (int i = 0; i < 3; ++i)
    copies[i] = os::Fd(::fcntl(streams[i] != nullptr ? streams[i]->get() : i, F_DUPFD_CLOEXEC, kSafe));
  if (restoring.network.is_open()) copies[3] = os::Fd(::fcntl(restoring.network.get(), F_DUPFD_CLOEXEC, kSafe));
  for (int i = 0; i < 4; ++i)
    if (copies[i].is_open()) ::dup2(copies[i].get(), kFirstStream + i);
  const os::Fd null = TRY(os::open_file("/dev/null", O_RDWR));
  for (int i = 0; i < 3; ++i) ::dup2(null.get(), i);
  return {};
}

[[noreturn]] void become_criu(Restoring& restoring, const std::string& pid_file, const std::string& log) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto ready = make_surroundings(restoring);
  if (ready) ready = place_descriptors(restoring);
  if (!ready) {
    // Where its own words would be looked for.
    const std::string text = fmt::format("Error (before criu): {}\n", ready.error().message());
    (void)os::write_file_atomically(log, text, 0600).has_value();
    ::_exit(1);
  }
  const std::vector<std::string> command = command_of(restoring, pid_file, log);
  std::vector<char*> args;
  for (const std::string& word : command) args.push_back(const_cast<char*>(word.c_str()));
  args.push_back(nullptr);
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* env[] = {path, nullptr};
  ::execvpe(args[0], args.data(), env);
  ::_exit(127);
}

int wait_for_criu(const Restoring& restoring, pid_t criu, Result<void>& refused) {
  int status = 0;
  while (true) {
    if (::waitpid(criu, &status, WUNTRACED) < 0 && errno != EINTR) return status;
    if (!WIFSTOPPED(status)) return status;
    refused = restrict_devices(restoring.runtime, restoring.spec, restoring.cgroups);
    // Its children end with it, as long as they have not gone on.
    ::kill(criu, refused ? SIGCONT : SIGKILL);
  }
}

Result<void> run_criu(Restoring& restoring) {
  const std::string pid_file = os::join(restoring.work, "restore.pid");
  const std::string log = os::join(restoring.work, "restore.log");
  for (const std::string& old : {pid_file, log}) TRY(os::remove_tree(old));
  TRY(os::write_file_atomically(script_of(restoring), kStopWhenRestored, 0700));
  const pid_t criu = ::fork();
  if (criu < 0) return Error::from_errno(errno, "fork");
  if (criu == 0) become_criu(restoring, pid_file, log);
  Result<void> refused;
  const int status = wait_for_criu(restoring, criu, refused);
  remove_places(restoring);
  (void)os::remove_tree(script_of(restoring)).has_value();
  if (!refused) return refused;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return criu_failed("restore", log);
  const std::string text = TRY(os::read_file(pid_file, 64), "the pid file of criu");
  const auto pid = parse_number(trim(text));
  if (!pid || *pid == 0 || *pid > INT32_MAX) return Error(Code::corrupt, "criu wrote no pid to '{}'", pid_file);
  TRY(os::remove_tree(pid_file));
  restoring.created.pid = static_cast<pid_t>(*pid);
  restoring.record.state.pid = restoring.created.pid;
  restoring.record.start_time = start_time_of(restoring.created.pid);
  restoring.created.pidfd = os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, restoring.created.pid, 0)));
  return {};
}

Result<void> make(Restoring& restoring, const StateFolder& folder) {
  const CreateOptions& options = restoring.options;
  restoring.record = TRY(describe(restoring.spec, options, restoring.record.state.id));
  TRY(folder.write_config(options.config_bytes));
  TRY(prepare(restoring, folder));
  TRY(run_criu(restoring));
  const Hooks& hooks = restoring.spec.hooks;
  TRY(run_hooks(hooks.prestart, "prestart", restoring.record.state));
  TRY(run_hooks(hooks.create_runtime, "createRuntime", restoring.record.state));
  TRY(folder.write_draft(restoring.record));
  if (!options.pid_file.empty())
    TRY(os::write_file_atomically(options.pid_file, fmt::format("{}", restoring.created.pid), 0644), "the pid file");
  return folder.commit();
}

void forget(Restoring& restoring, const StateFolder& folder) {
  if (restoring.created.pid > 0) {
    ::kill(restoring.created.pid, SIGKILL);
    ::waitpid(restoring.created.pid, nullptr, 0);
    restoring.record.start_time = 0;
  }
  (void)clean_up(restoring.record).has_value();
  (void)folder.remove().has_value();
}

}  // namespace

Result<Created> restore(const Runtime& runtime, const std::string& id, const Spec& spec,
                        const CreateOptions& options, const RestoreOptions& given) {
  RestoreOptions how = given;
  TRY(check_id(id));
  TRY(check_spec(spec, options));
  if (spec.process->terminal)
    return Error(Code::unsupported, "process.terminal: a container with a terminal cannot be restored");
  TRY(check_criu(how.criu.program));
  how.criu.image_folder = TRY(os::real_path(how.criu.image_folder), "--image-path");
  const std::string known = TRY(os::read_file(os::join(how.criu.image_folder, kExternalsFile), kMostExternalBytes),
                                "the images were not written by `kist runtime checkpoint`");
  Externals externals = TRY(parse_externals(known), "{}", kExternalsFile);
  std::string work = TRY(work_folder(how.criu));
  Restoring restoring = {.runtime = runtime, .spec = spec, .options = options, .how = how,
                         .externals = std::move(externals),
                         .record = {}, .cgroups = {}, .hierarchies = {}, .placeholder = {}, .sources = {}, .entrances = {},
                         .network = {}, .work = std::move(work), .created = {}};
  const StateFolder folder = TRY(StateFolder::claim(runtime.state_root, id));
  restoring.record.state.id = id;
  if (Result<void> made = make(restoring, folder); !made) {
    forget(restoring, folder);
    return std::move(made).error();
  }
  restoring.record.state.status = Status::running;
  run_hooks_to_the_end(spec.hooks.poststart, "poststart", restoring.record.state, runtime);
  return std::move(restoring.created);
}

}  // namespace kist::bundle

#include "containers/machine.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>

#include "base/text.h"
#include "containers/accounts.h"
#include "containers/notes.h"
#include "containers/shared_spaces.h"
#include "runtime/capabilities.h"
#include "runtime/seccomp.h"

namespace kist::containers {
namespace {

bool has_home(const std::vector<std::string>& env) {
  return std::any_of(env.begin(), env.end(), [](const std::string& e) { return e.starts_with("HOME="); });
}

// Another user than root starts with no capability, but may come by those of the bounding set.
void take_account(const Account& account, bool keep_capabilities, bundle::Process& process) {
  process.user.uid = account.uid;
  process.user.gid = account.gid;
  process.user.additional_gids = account.groups;
  if (!has_home(process.env)) process.env.push_back("HOME=" + account.home);
  if (account.uid != 0 && process.capabilities && !keep_capabilities) {
    process.capabilities->effective = 0;
    process.capabilities->permitted = 0;
  }
}

// What a plain user's container shows of a root that is not mounted yet.
Result<Account> account_in(const RootMount& root, const Record& record) {
  std::vector<std::string> folders;
  if (!root.upper.empty()) folders.push_back(root.upper);
  folders.insert(folders.end(), root.source.lowers.begin(), root.source.lowers.end());
  for (const std::string& folder : folders) {
    if (!os::exists(os::join(folder, "etc/passwd"))) continue;
    const os::Fd top = TRY(os::open_file(folder, O_PATH | O_DIRECTORY));
    return find_account(top, record.user, record.groups);
  }
  const os::Fd nothing = TRY(os::open_file("/proc/self/fdinfo", O_PATH | O_DIRECTORY));
  return find_account(nothing, record.user, record.groups);
}

bundle::SeccompFilter default_filter() {
  const auto program = runtime::default_seccomp_filter();
  constexpr uint32_t kAllowSpeculation = 4;  // SECCOMP_FILTER_FLAG_SPEC_ALLOW
  return {.program = {program.begin(), program.end()}, .flags = kAllowSpeculation, .notifies = false};
}

bool has_one_id(const Record& record, bool is_root) { return !is_root && record.ids != "range"; }

bool wants_filter(const Record& record) {
  if (record.privileged) return false;
  const auto& options = record.security_options;
  return std::find(options.begin(), options.end(), "seccomp=unconfined") == options.end();
}

// What somebody can do who may make no cgroups.
Error with_advice(Error error, const Record& record, bool is_root) {
  const bool of_cgroups = error.message().starts_with("making the cgroups") && error.code() == Code::denied;
  if (is_root || !of_cgroups || record.limits == LimitRequest() || !error.hint_text().empty()) return error;
  return std::move(error).hint("limits need a cgroup of yours: run it as root, or `--best-effort` goes on without them");
}

// The memory of a volume goes with the last container that uses it.
void close_volume(const MachineHost& host, const std::string& name, const std::string& id) {
  const auto volume = host.volumes.find(name);
  if (!volume || !volume->is_memory()) return;
  const auto lock = host.volumes.hold(os::FileLock::Mode::exclusive);
  const auto users = users_of(host.place, name, true);
  if (lock && users && (users->empty() || *users == std::vector<std::string>{id})) host.volumes.close(name);
}

}  // namespace

bool has_unified_cgroups() {
  struct statfs info = {};
  return ::statfs("/sys/fs/cgroup", &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
}

bundle::Runtime runtime_of(const std::string& memory_folder) {
  return {.state_root = os::join(memory_folder, "runtime"), .systemd_cgroups = false, .rootless = {}, .warn = {}};
}

Result<void> fill_volumes(const MachineHost& host, const Record& record, const os::Fd& root) {
  // In a farm of links files of one content are one inode, whatever the image says.
  const CopyOptions options{.owner = {}, .hard_links = !host.root.source.erofs_image.empty()};
  for (const MountRequest& mount : record.mounts) {
    if (mount.type != "volume" || mount.no_copy) continue;
    const auto there = os::open_in_root(root, mount.destination, O_PATH);
    if (!there && there.error().code() == Code::not_found) continue;
    if (!there) return there.error();
    const auto folder = os::open_in_root(root, mount.destination, O_RDONLY | O_DIRECTORY);
    if (!folder)
      return Error(Code::invalid, "the volume '{}' cannot be mounted on '{}', which is no folder in the image", mount.source,
                   printable(mount.destination));
    TRY(host.volumes.fill(mount.source, *folder, options));
  }
  return {};
}

Result<void> Container::open_volumes(const Record& record) {
  volumes_.clear();
  for (const MountRequest& mount : record.mounts) {
    if (mount.type != "volume") continue;
    // Removed by force, or by hand: as docker, a new one.
    if (!host_.volumes.exists(mount.source)) TRY(host_.volumes.create({.name = mount.source}));
    host_.spec.volumes[mount.source] = TRY(host_.volumes.open(mount.source));
    volumes_.push_back(mount.source);
    note_volume(host_.place, mount.source, "mount",
                {{"container", record.id}, {"destination", mount.destination}, {"driver", "local"},
                 {"propagation", mount.propagation}, {"read/write", mount.read_only ? "false" : "true"}});
  }
  return {};
}

Result<Started> Container::start(const Record& record, const Streams& streams) {
  id_ = record.id;
  TRY(open_volumes(record));
  SpecHost spec_host = host_.spec;
  TRY(network_.prepare(record, spec_host));
  const os::Fd shared_memory = TRY(join_others(host_.place, record, spec_host));
  bundle::Spec spec = TRY(spec_of(record, spec_host));
  bundle::CreateOptions options;
  if (shared_memory.is_open()) options.trees[kSharedMemory] = &shared_memory;
  options.bundle = host_.spec.folder;
  options.reaper = record.init;
  if (streams.output.is_open()) options.streams = {&streams.input, &streams.output, &streams.error};
  const bundle::SeccompFilter filter = default_filter();
  if (wants_filter(record)) options.filter = &filter;
  const bool one_id = has_one_id(record, host_.spec.is_root);
  options.pretend_ownership = one_id;
  if (one_id) {
    // One id: whoever the command is inside, it is the caller outside.
    const Account account = TRY(account_in(host_.root, record));
    spec.uid_maps[0].inside = account.uid;
    spec.gid_maps[0].inside = account.gid;
    take_account({account.uid, account.gid, {}, account.home}, record.privileged, *spec.process);
  }
  if (!host_.root.upper.empty()) {
    TRY(os::make_folders(host_.root.upper, 0755));
    TRY(os::remove_tree(host_.root.work));
    TRY(os::make_folders(host_.root.work, 0700));
  }
  options.mount_root = [&]() -> Result<os::Fd> {
    RootMount mount = host_.root;
    mount.place = os::join(host_.runtime.state_root, id_);
    os::Fd root = TRY(mount_root(mount));
    if (!one_id) {
      const Account account = TRY(find_account(root, record.user, record.groups));
      take_account(account, record.privileged, *spec.process);
    }
    if (!volumes_.empty()) TRY(fill_volumes(host_, record, root));
    return root;
  };
  // What a killed supervisor has left.
  (void)bundle::remove(host_.runtime, id_, {.force = true}).has_value();
  auto created = make(record, spec, options);
  if (!created) return with_advice(std::move(created).error(), record, host_.spec.is_root);
  bundle::Created made = std::move(*created);
  pid_ = made.pid;
  return Started{made.pid, std::move(made.pidfd), std::move(made.terminal), network_.ports(record)};
}

Result<bundle::Created> Container::make(const Record& record, const bundle::Spec& spec, bundle::CreateOptions options) {
  if (ContainerNetwork::is_served(record))
    options.on_namespaces = [&](pid_t pid) { return network_.serve(record, pid); };
  const auto there = TRY(network_.enter());
  return bundle::create_started(host_.runtime, id_, spec, options);
}

Result<void> Container::signal(int number) { return bundle::kill(host_.runtime, id_, number, {}); }

void Container::ended(Status& status) {
  if (id_.empty()) return;
  if (const auto memory = bundle::memory_peak(host_.runtime, id_)) {
    status.memory_peak_bytes = memory->peak_bytes;
    status.memory_limit_bytes = memory->limit_bytes;
    status.out_of_memory = memory->oom_kills > 0;
  }
  (void)bundle::remove(host_.runtime, id_, {.force = true}).has_value();
  network_.ended();
  if (!host_.root.work.empty()) (void)os::remove_tree(host_.root.work).has_value();
  for (const std::string& name : volumes_) {
    note_volume(host_.place, name, "unmount", {{"container", id_}, {"driver", "local"}});
    close_volume(host_, name, id_);
  }
}

Result<Started> Container::probe(const Record& record, const std::vector<std::string>& args, const os::Fd& output) {
  const os::Fd nothing = TRY(os::open_file("/dev/null", O_RDONLY));
  Status status;
  status.phase = Phase::running;
  status.pid = pid_;
  ExecRequest request;
  request.args = args;
  bundle::Created made = TRY(exec(host_.runtime, record, status, request, {&nothing, &output, &output}));
  return Started{made.pid, std::move(made.pidfd), {}, {}};
}

Result<bundle::Created> exec(const bundle::Runtime& runtime, const Record& record, const Status& status,
                             const ExecRequest& request, const bundle::StandardStreams& streams) {
  if (status.phase == Phase::paused)
    return Error(Code::invalid, "container {} is paused", printable(record.name))
        .hint(fmt::format("`kist unpause {}`", record.name));
  if (status.phase != Phase::running)
    return Error(Code::invalid, "container {} is not running", printable(record.name))
        .hint(fmt::format("`kist start {}`", record.name));
  SpecHost host;
  host.is_root = ::geteuid() == 0;
  host.uid = ::geteuid();
  host.gid = ::getegid();
  host.unified_cgroups = has_unified_cgroups();
  Record wanted = record;
  wanted.mounts.clear();  // They are there already.
  wanted.tty = request.tty;
  wanted.privileged = record.privileged || request.privileged;
  const bundle::Spec spec = TRY(spec_of(wanted, host));
  bundle::Process process = *spec.process;
  process.args = request.args;
  // One of a name: programs differ in which of two they see.
  for (const std::string& variable : request.env) {
    const std::string name = variable.substr(0, variable.find('=') + 1);
    std::erase_if(process.env, [&](const std::string& old) { return old.starts_with(name); });
    process.env.push_back(variable);
  }
  if (!request.working_dir.empty()) process.cwd = request.working_dir;
  const os::Fd root = TRY(os::open_file(fmt::format("/proc/{}/root", status.pid), O_PATH | O_DIRECTORY));
  const Account account =
      TRY(find_account(root, request.user.empty() ? record.user : request.user, record.groups));
  take_account(account, wanted.privileged, process);
  const bool one_id = has_one_id(record, host.is_root);
  if (one_id) process.user.additional_gids.clear();
  bundle::ExecOptions options;
  options.pretend_ownership = one_id;
  options.streams = streams;
  options.spec = &spec;
  const bundle::SeccompFilter filter = default_filter();
  if (wants_filter(wanted)) options.filter = &filter;
  return bundle::exec(runtime, record.id, process, options);
}

}  // namespace kist::containers

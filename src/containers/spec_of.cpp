#include "containers/spec_of.h"

#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>

#include <algorithm>

#include "base/text.h"
#include "bundle/container.h"
#include "bundle/seccomp_profile.h"
#include "containers/id_maps.h"
#include "containers/resources_of.h"
#include "os/files.h"
#include "runtime/capabilities.h"

namespace kist::containers {
namespace {

using bundle::Spec;

constexpr const char* kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
// docker's lists (moby, oci/defaults.go).
constexpr const char* kMasked[] = {
    "/proc/asound",     "/proc/acpi",       "/proc/interrupts",  "/proc/kcore",  "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
    "/sys/firmware",    "/sys/devices/virtual/powercap"};
constexpr const char* kReadOnly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

bool has_option(const Record& record, std::string_view option) {
  return std::find(record.security_options.begin(), record.security_options.end(), option) !=
         record.security_options.end();
}

constexpr uint64_t kAll = ~uint64_t{0};

Result<uint64_t> capabilities_of(const Record& record) {
  uint64_t bits = record.privileged ? kAll : runtime::kDefaultCapabilities;
  const auto number_of = [](const std::string& name) -> Result<uint64_t> {
    if (to_lower(name) == "all") return kAll;
    const int number = TRY(capability_number(name));
    return runtime::capability(number);
  };
  // As docker: what is dropped goes first, so that "--cap-drop ALL --cap-add X" means X.
  uint64_t dropped = 0;
  uint64_t added = 0;
  for (const std::string& name : record.capabilities_dropped) dropped |= TRY(number_of(name));
  for (const std::string& name : record.capabilities_added) added |= TRY(number_of(name));
  bits = added == kAll ? kAll & ~dropped : (bits & ~dropped) | added;
  return bits;
}

// None set: the built-in filter, which needs no compiling.
Result<void> add_seccomp(const Record& record, uint64_t capabilities, bundle::Spec& spec) {
  if (record.privileged) return {};
  std::string_view wanted = "builtin";
  constexpr std::string_view kOption = "seccomp=";
  for (const std::string& option : record.security_options)
    if (option.starts_with(kOption)) wanted = std::string_view(option).substr(kOption.size());
  if (wanted == "unconfined") return {};
  if (wanted != "builtin") {
    spec.seccomp = TRY(bundle::read_seccomp_profile(wanted, capabilities), "--security-opt seccomp");
  } else if (bundle::opens_system_calls(capabilities)) {
    spec.seccomp = bundle::built_in_seccomp(capabilities);
  }
  return {};
}

// Which is the container's too, if it has none of its own.
std::string name_of_host() {
  utsname names = {};
  return ::uname(&names) == 0 ? names.nodename : "localhost";
}

std::vector<std::string> environment_of(const Record& record) {
  std::vector<std::string> env = record.env;
  const auto has = [&](std::string_view name) {
    return std::any_of(env.begin(), env.end(), [&](const std::string& e) {
      return e.size() > name.size() && e.starts_with(name) && e[name.size()] == '=';
    });
  };
  if (!has("PATH")) env.emplace_back(kDefaultPath);
  if (!has("HOSTNAME")) env.push_back("HOSTNAME=" + (record.hostname.empty() ? name_of_host() : record.hostname));
  if (record.tty && !has("TERM")) env.emplace_back("TERM=xterm");
  return env;
}

Result<void> add_process(const Record& record, Spec& spec) {
  bundle::Process process;
  process.terminal = record.tty;
  process.cwd = record.working_dir.empty() ? "/" : record.working_dir;
  process.args = record.args();
  process.env = environment_of(record);
  const uint64_t bits = TRY(capabilities_of(record));
  process.capabilities = bundle::Capabilities{.bounding = bits, .effective = bits, .inheritable = 0,
                                              .permitted = bits, .ambient = 0, .unknown = {}};
  process.no_new_privileges = has_option(record, "no-new-privileges") || has_option(record, "no-new-privileges:true");
  constexpr std::string_view kAppArmor = "apparmor=";
  for (const std::string& option : record.security_options)
    if (option.starts_with(kAppArmor)) process.apparmor_profile = option.substr(kAppArmor.size());
  for (const UlimitRequest& limit : record.ulimits) {
    const int resource = TRY(ulimit_number(limit.name));
    process.rlimits.push_back({resource, limit.soft, limit.hard});
  }
  TRY(add_seccomp(record, bits, spec));
  if (record.umask >= 0) process.user.umask = static_cast<uint32_t>(record.umask) & 0777;
  if (record.oom_score_adj != 0) process.oom_score_adj = static_cast<int>(record.oom_score_adj);
  spec.process = std::move(process);
  return {};
}

bundle::Mount file_system(const char* destination, const char* type, unsigned long flags, std::string data) {
  bundle::Mount mount;
  mount.destination = destination;
  mount.type = type;
  mount.source = type;
  mount.options.flags = flags;
  mount.options.data = std::move(data);
  return mount;
}

// What the other has made of the place is the other's: nothing in it gives rights here.
bundle::Mount others_memory() {
  bundle::Mount out = bind_mount(kSharedMemory, "/dev/shm", false);
  out.options.attributes_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  return out;
}

// As docker does: programs look there for their limits. One that goes when it ends, and has none, is spared the mounts.
bool shows_own_cgroups(const Record& record, const SpecHost& host) {
  return !(record.limits == LimitRequest()) || (host.is_root && !record.auto_remove);
}

void add_system_mounts(const Record& record, const SpecHost& host, Spec& spec) {
  constexpr unsigned long kQuiet = MS_NOSUID | MS_NOEXEC | MS_NODEV;
  spec.mounts.push_back(record.pid == "host" && !host.is_root ? bind_mount("/proc", "/proc")
                                                               : file_system("/proc", "proc", kQuiet, ""));
  spec.mounts.push_back(file_system("/dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
  // In a user namespace of one id the group tty has no name.
  spec.mounts.push_back(file_system("/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                                    host.is_root || record.ids == "range" ? "newinstance,ptmxmode=0666,mode=0620,gid=5"
                                                 : "newinstance,ptmxmode=0666,mode=0620"));
  spec.mounts.push_back(file_system("/dev/mqueue", "mqueue", kQuiet, ""));
  if (record.ipc == "host")
    spec.mounts.push_back(bind_mount("/dev/shm", "/dev/shm"));
  else if (!host.ipc_namespace.empty())
    spec.mounts.push_back(others_memory());
  else if (record.ipc != "none")  // As docker: that has no memory to share.
    spec.mounts.push_back(file_system("/dev/shm", "tmpfs", kQuiet,
                                      fmt::format("mode=1777,size={}", record.shm_bytes)));
  const unsigned long read_only = record.privileged ? 0 : MS_RDONLY;
  const auto host_tree = [&](const char* path) {
    bundle::Mount tree = bind_mount(path, path);
    tree.options.recursive_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV |
                                 (record.privileged ? 0 : MOUNT_ATTR_RDONLY);
    return tree;
  };
  // A fresh sysfs shows the network of its namespace, so it has to belong to one of ours. The host's own has the host's
  // cgroups mounted in it, by which programs would look for limits in vain.
  const bool own_cgroups = !host.unified_cgroups && shows_own_cgroups(record, host);
  const bool own_network = record.network != "host" || (own_cgroups && host.is_root && !bundle::acts_for_a_user());
  spec.mounts.push_back(own_network ? file_system("/sys", "sysfs", kQuiet | read_only, "") : host_tree("/sys"));
  if (host.unified_cgroups)
    spec.mounts.push_back(file_system("/sys/fs/cgroup", "cgroup2", kQuiet | read_only, ""));
  else if (own_cgroups)
    spec.mounts.push_back(file_system("/sys/fs/cgroup", "cgroup", kQuiet | read_only, ""));
  else if (own_network && os::exists("/sys/fs/cgroup"))
    spec.mounts.push_back(host_tree("/sys/fs/cgroup"));
  for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
    if (record.no_hosts && std::string_view(name) == "hosts") continue;
    const std::string path = os::join(host.network_files.empty() ? host.folder : host.network_files, name);
    if (os::exists(path)) spec.mounts.push_back(bind_mount(path, fmt::format("/etc/{}", name)));
  }
  if (!record.time_zone.empty()) {
    spec.mounts.push_back(bind_mount(zone_file(record.time_zone), "/etc/localtime"));
    spec.mounts.back().options.attributes_set = MOUNT_ATTR_RDONLY;
  }
}

// docker's defaults, and what its --tmpfs takes.
bundle::Mount tmpfs_of(const MountRequest& wanted) {
  unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (wanted.read_only ? MS_RDONLY : 0);
  std::string data = fmt::format("mode={:o}", wanted.mode);
  if (wanted.size_bytes != 0) data += fmt::format(",size={}", wanted.size_bytes);
  constexpr struct {
    std::string_view name;
    unsigned long set, cleared;
  } kWords[] = {{"ro", MS_RDONLY, 0},   {"rw", 0, MS_RDONLY},     {"exec", 0, MS_NOEXEC}, {"noexec", MS_NOEXEC, 0},
                {"suid", 0, MS_NOSUID}, {"nosuid", MS_NOSUID, 0}, {"dev", 0, MS_NODEV},   {"nodev", MS_NODEV, 0},
                {"noatime", MS_NOATIME, 0}};
  for (const std::string_view option : split(wanted.options, ',')) {
    const auto word = std::find_if(std::begin(kWords), std::end(kWords), [&](const auto& w) { return w.name == option; });
    if (word != std::end(kWords)) flags = (flags | word->set) & ~word->cleared;
    else if (!option.empty()) data += fmt::format(",{}", option);
  }
  return file_system(wanted.destination.c_str(), "tmpfs", flags, std::move(data));
}

Result<void> add_mount(const MountRequest& wanted, const SpecHost& host, Spec& spec) {
  if (wanted.type == "tmpfs") {
    spec.mounts.push_back(tmpfs_of(wanted));
    return {};
  }
  std::string source = wanted.source;
  if (wanted.type == "volume") {
    const auto volume = host.volumes.find(wanted.source);
    if (volume == host.volumes.end()) return Error(Code::not_found, "no such volume: {}", printable(wanted.source));
    source = volume->second;
  }
  if (!os::exists(source))
    return Error(Code::not_found, "the source of the mount '{}' does not exist", printable(source))
        .hint(fmt::format("`mkdir -p {}`", shell_quote(source)));
  bundle::Mount mount = bind_mount(source, wanted.destination, wanted.recursive);
  if (wanted.read_only) mount.options.recursive_set = MOUNT_ATTR_RDONLY;
  const std::string& propagation = wanted.propagation;
  if (propagation == "rslave" || propagation == "slave") mount.options.propagation = {MS_SLAVE | MS_REC};
  if (propagation == "rshared" || propagation == "shared") mount.options.propagation = {MS_SHARED | MS_REC};
  spec.mounts.push_back(std::move(mount));
  return {};
}

Result<void> add_namespaces(const Record& record, const SpecHost& host, Spec& spec) {
  const auto fresh = [&](uint64_t flag) { spec.namespaces.push_back({flag, ""}); };
  const auto fresh_or = [&](uint64_t flag, const std::string& wish, const std::string& path) {
    if (wish != "host") spec.namespaces.push_back({flag, path});
  };
  fresh(CLONE_NEWNS);
  fresh_or(CLONE_NEWPID, record.pid, host.pid_namespace);
  fresh_or(CLONE_NEWIPC, record.ipc, host.ipc_namespace);
  if (record.uts != "host") fresh(CLONE_NEWUTS);
  if (host.unified_cgroups && record.cgroup_namespace != "host") fresh(CLONE_NEWCGROUP);
  if (!host.network_namespace.empty())
    spec.namespaces.push_back({CLONE_NEWNET, host.network_namespace});
  else if (record.network != "host")
    fresh(CLONE_NEWNET);
  if (!host.is_root && !host.user_namespace.empty()) {
    spec.namespaces.push_back({CLONE_NEWUSER, host.user_namespace});
    spec.uid_maps = {{0, host.uid, 1}};
    spec.gid_maps = {{0, host.gid, 1}};
  } else if (!host.is_root) {
    fresh(CLONE_NEWUSER);
    IdMaps maps = single_id(host.uid, host.gid);
    if (record.ids == "range") maps = TRY(id_range(host.uid, host.gid));
    spec.uid_maps = std::move(maps.uids);
    spec.gid_maps = std::move(maps.gids);
  }
  return {};
}

}  // namespace

bundle::Mount bind_mount(std::string source, std::string destination, bool recursive) {
  bundle::Mount mount;
  mount.destination = std::move(destination);
  mount.type = "bind";
  mount.source = std::move(source);
  mount.options.bind = true;
  mount.options.recursive = recursive;
  mount.options.propagation = {MS_PRIVATE | MS_REC};
  return mount;
}

std::string zone_file(std::string_view zone) {
  return zone == "local" ? "/etc/localtime" : os::join("/usr/share/zoneinfo", zone);
}

bool is_in_slice(const Record& record, const SpecHost& host) {
  return host.has_systemd && record.cgroup_parent.ends_with(".slice") && record.cgroup_parent.find('/') == std::string::npos;
}

Result<Spec> spec_of(const Record& record, const SpecHost& host) {
  Spec spec;
  spec.version = "1.2.0";
  spec.root_read_only = record.read_only;
  if (record.uts != "host") spec.hostname = record.hostname;
  if (record.uts != "host") spec.domainname = record.domain_name;
  if (is_in_slice(record, host)) spec.cgroups_path = fmt::format("{}:kist:{}", record.cgroup_parent, record.id);
  else if (!record.cgroup_parent.empty()) spec.cgroups_path = os::join(record.cgroup_parent, record.id);
  for (const auto& [name, value] : record.sysctls) spec.sysctl.emplace(name, value);
  TRY(add_process(record, spec));
  TRY(add_namespaces(record, host, spec));
  add_system_mounts(record, host, spec);
  // What lies deeper comes later, whatever the order of the flags.
  std::vector<MountRequest> mounts = record.mounts;
  std::stable_sort(mounts.begin(), mounts.end(), [](const MountRequest& a, const MountRequest& b) {
    return std::count(a.destination.begin(), a.destination.end(), '/') <
           std::count(b.destination.begin(), b.destination.end(), '/');
  });
  for (const MountRequest& mount : mounts) TRY(add_mount(mount, host, spec));
  TRY(add_devices(record, host.is_root, spec));
  TRY(add_limits(record, spec));
  spec.annotations = record.annotations;
  if (!record.privileged && !has_option(record, "systempaths=unconfined")) {
    spec.masked_paths.assign(std::begin(kMasked), std::end(kMasked));
    spec.readonly_paths.assign(std::begin(kReadOnly), std::end(kReadOnly));
  }
  return spec;
}

}  // namespace kist::containers

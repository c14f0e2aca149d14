// The configuration of a container as the OCI runtime specification 1.2 has it (config.json), for
// Linux, as plain data. spec_reader.h makes one from bytes; callers may as well fill one in.
//
// What the specification leaves out is an empty optional, an empty string or an empty list. Sizes
// are bytes; ids are those of the side that the comment names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kist::bundle {

struct User {
  uint32_t uid = 0;  // As seen inside.
  uint32_t gid = 0;
  std::optional<uint32_t> umask;
  std::vector<uint32_t> additional_gids;
};

/// Bit N is capability number N. Those of no kernel that we know are in `unknown`, by name.
struct Capabilities {
  uint64_t bounding = 0;
  uint64_t effective = 0;
  uint64_t inheritable = 0;
  uint64_t permitted = 0;
  uint64_t ambient = 0;
  std::vector<std::string> unknown;
};

struct Rlimit {
  int resource = 0;  // RLIMIT_NOFILE …
  uint64_t soft = 0;
  uint64_t hard = 0;
};

/// As sched_setattr(2).
struct Scheduler {
  uint32_t policy = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t flags = 0;
  uint64_t runtime_ns = 0;
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
};

struct IoPriority {
  uint32_t io_class = 0;  // As ioprio_set(2): 1 realtime, 2 best effort, 3 idle.
  uint32_t level = 0;
};

struct Process {
  bool terminal = false;
  uint16_t console_rows = 0;
  uint16_t console_columns = 0;
  std::string cwd;
  std::vector<std::string> args;
  std::vector<std::string> env;  // "NAME=value"
  User user;
  std::optional<Capabilities> capabilities;  // Empty: none at all.
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::string apparmor_profile;
  std::string selinux_label;
  std::optional<int> oom_score_adj;
  std::optional<Scheduler> scheduler;
  std::optional<IoPriority> io_priority;
};

struct IdMap {
  uint32_t inside = 0;
  uint32_t outside = 0;
  uint32_t size = 0;
};

/// The options of one mount, sorted by what they do.
struct MountOptions {
  unsigned long flags = 0;      // MS_*: for a new file system.
  uint64_t attributes_set = 0;  // MOUNT_ATTR_*: for a bind, of its top mount …
  uint64_t attributes_cleared = 0;
  uint64_t recursive_set = 0;  // … and of all below it ("rro" …).
  uint64_t recursive_cleared = 0;
  std::vector<unsigned long> propagation;  // MS_PRIVATE, MS_SHARED | MS_REC …, in order.
  bool bind = false;
  bool recursive = false;  // rbind
  bool remount = false;
  bool copy_up = false;  // tmpcopyup
  bool id_map = false;   // idmap, ridmap: by `uid_maps`, else by those of the container.
  bool id_map_recursive = false;
  std::string data;  // For the file system, comma-separated.
};

struct Mount {
  std::string destination;  // Absolute, inside.
  std::string type;
  std::string source;  // bind: on the host; relative to the bundle if not absolute.
  MountOptions options;
  std::vector<IdMap> uid_maps;
  std::vector<IdMap> gid_maps;
};

struct Namespace {
  uint64_t flag = 0;  // CLONE_NEWPID …
  std::string path;   // To join; empty: a new one.
};

struct Device {
  char type = 'c';  // c, b, u, p
  std::string path;
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t mode = 0666;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

/// Of the device cgroup. The major and minor numbers that are not given mean "all".
struct DeviceRule {
  bool allow = false;
  char type = 'a';  // a, c, b
  std::optional<uint32_t> major;
  std::optional<uint32_t> minor;
  bool read = false;
  bool write = false;
  bool make = false;
};

struct MemoryLimits {
  std::optional<int64_t> limit, reservation, swap, kernel, kernel_tcp;  // -1: none.
  std::optional<uint64_t> swappiness;
  std::optional<bool> disable_oom_killer, use_hierarchy, check_before_update;
};

struct CpuLimits {
  std::optional<uint64_t> shares, period_us, realtime_period_us;
  std::optional<int64_t> quota_us, realtime_runtime_us, idle;
  std::optional<uint64_t> burst_us;
  std::string cpus, mems;
};

struct BlockDeviceValue {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t value = 0;
};

struct BlockIoLimits {
  std::optional<uint16_t> weight, leaf_weight;
  std::vector<BlockDeviceValue> weight_device, leaf_weight_device;
  std::vector<BlockDeviceValue> read_bps, write_bps, read_iops, write_iops;
};

struct HugepageLimit {
  std::string page_size;  // "2MB"
  uint64_t limit = 0;
};

struct RdmaLimit {
  std::string device;
  std::optional<uint32_t> handles, objects;
};

struct Resources {
  std::vector<DeviceRule> devices;
  MemoryLimits memory;
  CpuLimits cpu;
  std::optional<int64_t> pids;  // -1, 0: none.
  BlockIoLimits block_io;
  std::vector<HugepageLimit> hugepages;
  std::optional<uint32_t> network_class;
  std::vector<std::pair<std::string, uint32_t>> network_priorities;
  std::vector<RdmaLimit> rdma;
  std::map<std::string, std::string> unified;  // cgroup v2 file → value
};

enum class SeccompAction {
  kill_process,
  kill_thread,
  trap,
  error_number,
  trace,
  allow,
  log,
  notify
};
/// `operation` as libseccomp's scmp_compare.
struct SeccompArgument {
  uint32_t index = 0;
  uint64_t value = 0;
  uint64_t value_two = 0;
  uint32_t operation = 0;
};
struct SeccompRule {
  std::vector<std::string> names;
  SeccompAction action = SeccompAction::allow;
  std::optional<uint32_t> error_number;
  std::vector<SeccompArgument> arguments;
};
struct Seccomp {
  SeccompAction default_action = SeccompAction::allow;
  std::optional<uint32_t> default_error_number;
  std::vector<uint32_t> architectures;  // libseccomp's tokens (SCMP_ARCH_*)
  uint32_t flags = 0;                   // SECCOMP_FILTER_FLAG_*
  std::string listener_path;
  std::string listener_metadata;
  std::vector<SeccompRule> rules;
};

struct Hook {
  std::string path;
  std::vector<std::string> args;  // Includes args[0]; empty: the path.
  std::vector<std::string> env;
  int timeout_s = 0;  // 0: none.
};
struct Hooks {
  std::vector<Hook> prestart, create_runtime, create_container, start_container, poststart,
      poststop;
};

struct TimeOffset {
  std::string clock;  // "monotonic", "boottime"
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
};

struct Spec {
  std::string version;
  std::string root_path;  // Relative to the bundle if not absolute.
  bool root_read_only = false;
  std::string hostname;
  std::string domainname;
  std::optional<Process> process;  // Needed by `start` only, as the specification says.
  std::vector<Mount> mounts;
  Hooks hooks;
  std::map<std::string, std::string> annotations;

  std::vector<Namespace> namespaces;
  std::vector<IdMap> uid_maps;
  std::vector<IdMap> gid_maps;
  std::vector<TimeOffset> time_offsets;
  std::vector<Device> devices;
  std::string cgroups_path;
  Resources resources;
  std::optional<Seccomp> seccomp;
  unsigned long root_propagation = 0;  // MS_*; 0: as runc, slave and recursive.
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::string mount_label;
  std::map<std::string, std::string> sysctl;
  std::optional<unsigned long> personality;

  const Namespace* find_namespace(uint64_t flag) const {
    for (const Namespace& ns : namespaces)
      if (ns.flag == flag) return &ns;
    return nullptr;
  }
};

}  // namespace kist::bundle

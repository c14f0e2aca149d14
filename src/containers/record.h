// What a container was asked to be: written once when it is made, changed by `update` and `rename`
// alone. Everything a start, an inspect and a supervisor need, without the image's own files.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::containers {

/// Of namespaces and networks: "container:" and its id.
inline constexpr std::string_view kOfContainer = "container:";

struct MountRequest {
  std::string type;         // "bind", "volume", "tmpfs"
  std::string source;       // bind: absolute path on the host. volume: its name.
  std::string destination;  // Absolute, inside.
  bool read_only = false;
  bool recursive = true;
  bool no_copy = false;     // volume: do not fill an empty one with the image's content.
  std::string propagation;  // "rprivate", "rslave", "rshared"; empty: rprivate.
  uint64_t size_bytes = 0;  // tmpfs; 0: half of the memory.
  uint32_t mode = 01777;    // tmpfs: of its top folder.
  std::string options;      // tmpfs: further ones, comma-separated.
  bool operator==(const MountRequest&) const = default;
};

struct UlimitRequest {
  std::string name;  // "nofile"
  uint64_t soft = 0;
  uint64_t hard = 0;  // UINT64_MAX: unlimited.
  bool operator==(const UlimitRequest&) const = default;
};

/// A network that the container is on.
struct NetworkRequest {
  std::string name;
  std::vector<std::string> aliases;
  std::string ipv4, ipv6, mac;  // Empty: any.
  bool operator==(const NetworkRequest&) const = default;
};

struct PortRequest {
  std::string host_ip;  // Empty: all addresses.
  uint16_t host_port = 0;  // 0: any free one.
  uint16_t container_port = 0;
  std::string protocol;  // "tcp", "udp"
  bool operator==(const PortRequest&) const = default;
};

/// For one device of the host: bytes or operations in a second, or a weight.
struct DeviceNumber {
  std::string path;  // "/dev/sda"
  uint64_t value = 0;
  bool operator==(const DeviceNumber&) const = default;
};

/// Of cgroups; 0 or empty: none.
struct LimitRequest {
  uint64_t memory_bytes = 0;
  int64_t memory_swap_bytes = 0;  // Memory and swap together; -1: swap without limit; 0: as docker,
                                  // twice the memory.
  uint64_t memory_reservation_bytes = 0;
  int64_t memory_swappiness = -1;  // -1: the host's.
  bool oom_kill_disable = false;
  double cpus = 0;
  uint64_t cpu_period_us = 0;  // These two where `cpus` is 0.
  int64_t cpu_quota_us = 0;    // -1: none.
  uint64_t cpu_realtime_period_us = 0;
  uint64_t cpu_realtime_runtime_us = 0;
  uint64_t cpu_shares = 0;
  std::string cpuset_cpus;
  std::string cpuset_mems;
  int64_t pids = 0;  // -1: none.
  uint64_t block_io_weight = 0;
  std::vector<DeviceNumber> block_io_weights, read_bps, write_bps, read_iops, write_iops;
  bool operator==(const LimitRequest&) const = default;
};

struct RestartPolicy {
  std::string name = "no";  // "no", "on-failure", "always", "unless-stopped"
  uint64_t maximum = 0;     // on-failure: 0 is no maximum.
  bool operator==(const RestartPolicy&) const = default;
};

/// An empty test: none.
struct HealthCheck {
  std::vector<std::string> test;  // As docker: {"CMD", …}, {"CMD-SHELL", "…"}, {"NONE"}.
  int64_t interval_ns = 0;        // 0: docker's defaults (30 s, 30 s, 0, 5 s, 3).
  int64_t timeout_ns = 0;
  int64_t start_period_ns = 0;
  int64_t start_interval_ns = 0;
  uint64_t retries = 0;
  std::vector<std::string> shell;  // Of CMD-SHELL; empty: /bin/sh -c.
  bool is_on() const { return test.size() > 1; }
  bool operator==(const HealthCheck&) const = default;
};

struct Record {
  std::string id;           // 64 hexadecimal digits.
  std::string name;
  int64_t created_ns = 0;   // Since 1970, UTC.
  std::string image;        // As it was named.
  std::string image_id;     // "sha256:…" of its configuration.

  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> env;  // "NAME=value": the image's with the request's over it.
  std::string working_dir = "/";
  std::string user;  // "", "1000", "1000:1000", "ada", "ada:staff"
  std::vector<std::string> groups;  // --group-add
  std::string hostname;
  std::string domain_name;
  bool tty = false;
  bool open_stdin = false;
  bool stdin_once = false;  // Its end is the command's end of input: foreground runs.
  bool auto_remove = false;
  bool read_only = false;
  bool init = false;
  bool privileged = false;
  std::vector<MountRequest> mounts;
  std::vector<std::string> devices;  // "/dev/x:/dev/y:rwm"
  std::vector<std::string> device_rules;  // "c 1:3 rwm"
  std::vector<std::string> capabilities_added;
  std::vector<std::string> capabilities_dropped;
  std::vector<std::string> security_options;
  std::vector<UlimitRequest> ulimits;
  std::map<std::string, std::string> sysctls;
  std::vector<std::string> extra_hosts;  // "name:address"
  bool no_hosts = false;  // /etc/hosts is the image's.
  std::vector<std::string> links;  // "CONTAINER-ID:ALIAS"
  std::vector<std::string> dns_servers, dns_search, dns_options;
  // "host", "none", "container:ID", "pasta", "slirp4netns", or the first of `networks`.
  std::string network = "host";
  std::vector<NetworkRequest> networks;
  std::vector<PortRequest> ports;
  std::vector<std::string> exposed_ports;  // "80/tcp"
  bool publish_all = false;
  std::string ipc, pid, uts, user_namespace, cgroup_namespace;  // "", "host", "container:ID" …
  std::string ids;  // A plain user's: "single", "range" (id_maps.h). Root has all.
  std::string cgroup_parent;
  LimitRequest limits;
  bool best_effort = false;  // Without those that cannot be enforced.
  uint64_t shm_bytes = 64ull << 20;
  int64_t oom_score_adj = 0;
  RestartPolicy restart;
  HealthCheck health;
  std::string stop_signal = "SIGTERM";
  int64_t stop_timeout_s = 10;
  std::string log_driver = "k8s-file";  // "k8s-file", "none"
  uint64_t log_max_bytes = 0;           // 0: no rotation.
  uint64_t log_max_files = 1;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::string time_zone;  // "Europe/Berlin"; "local": the host's; empty: the image's.
  int64_t umask = -1;     // -1: 022.
  bool operator==(const Record&) const = default;

  /// Whether it is on networks of kist's own, which root alone has.
  bool is_networked() const { return !networks.empty(); }
  /// The whole command line inside.
  std::vector<std::string> args() const;
  std::string short_id() const { return id.substr(0, 12); }
};

/// As JSON; docs/formats/container.md. Unknown fields are passed over: a later kist may have written
/// them. Errors: corrupt (what and where).
std::string encode(const Record& record);
Result<Record> decode_record(std::string_view json);

}  // namespace kist::containers

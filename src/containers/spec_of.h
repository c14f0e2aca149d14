// A record as the runtime specification has it: docker's defaults, and what was asked for over them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/spec.h"
#include "containers/record.h"

namespace kist::containers {

/// What of the host the specification depends on.
struct SpecHost {
  bool is_root = false;  // Able to make containers without a user namespace.
  uint32_t uid = 0;
  uint32_t gid = 0;
  bool unified_cgroups = false;   // /sys/fs/cgroup is version 2.
  bool has_systemd = false;       // It is the first process, and so whom slices belong to.
  std::string folder;             // The container's own, with hosts, hostname and resolv.conf.
  std::map<std::string, std::string> volumes;  // Where their contents are, by their names.
  std::string network_namespace;  // To join; empty: by record.network.
  std::string pid_namespace, ipc_namespace;  // To join; empty: by the record.
  std::string user_namespace;     // To join, of a plain user: the one that those belong to.
  std::string network_files;      // Folder with hosts, hostname and resolv.conf; empty: `folder`.
};

/// The source of the mount that is another container's /dev/shm: who makes the container has it open
/// (bundle::CreateOptions::trees).
inline constexpr const char* kSharedMemory = "the other's /dev/shm";

/// Errors: invalid (a capability, a limit, a device that there is not …), not_found (the source of a
/// bind mount).
Result<bundle::Spec> spec_of(const Record& record, const SpecHost& host);

/// A folder or file of the host, private to the container.
bundle::Mount bind_mount(std::string source, std::string destination, bool recursive = true);
/// Of a time zone by its name; "local": the host's.
std::string zone_file(std::string_view zone);

/// Whether the container is a scope of systemd's: with --cgroup-parent NAME.slice, where systemd is. Else such a
/// name is a folder like others, as docker has it with its driver `cgroupfs`.
bool is_in_slice(const Record& record, const SpecHost& host);

/// "NET_ADMIN", "CAP_NET_ADMIN", in any case. Errors: invalid.
Result<int> capability_number(std::string_view name);
/// "SIGTERM", "term", "15". Errors: invalid.
Result<int> signal_number(std::string_view name);
/// As `inspect` shows why something did not start: in one line, from the outside in.
std::string message_of(const Error& error);
/// RLIMIT_* of "nofile". Errors: invalid.
Result<int> ulimit_number(std::string_view name);

}  // namespace kist::containers

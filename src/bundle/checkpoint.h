// A container's processes, written to files and made again from them by CRIU (criu.org), a program
// that has to be installed: it is run as its command line has it since version 3.12.
//
// What CRIU cannot know is left in the image folder beside its files, in kist.json: which mounts and
// which of the streams 0, 1 and 2 came from outside.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bundle/container.h"

namespace kist::bundle {

/// What both directions share. Paths are absolute, or start from the caller's folder.
struct CriuOptions {
  std::string program = "criu";  // A path, or a name to look for where programs are.
  std::string image_folder;      // Made when it is missing.
  std::string work_folder;       // For its log; empty: the image folder.
  bool tcp_established = false;
  bool external_sockets = false;
  bool shell_job = false;
  bool file_locks = false;
  bool auto_dedup = false;
  bool lazy_pages = false;
  std::string manage_cgroups;               // CRIU's word; empty: "ignore", since we make the cgroups.
  std::vector<std::string> empty_namespaces;  // "network": its contents are not kept.
};

struct CheckpointOptions {
  CriuOptions criu;
  std::string parent_folder;  // Of an earlier pre-dump, relative to the image folder.
  std::string page_server;    // ADDRESS:PORT
  int status_fd = -1;
  bool leave_running = false;
  bool pre_dump = false;  // Memory only; it goes on.
};

struct RestoreOptions {
  CriuOptions criu;
  std::string lsm_profile;
  std::string lsm_mount_context;
};

/// Writes the images. What is not left running has ended, and is removed.
/// Errors: unsupported (no CRIU, a terminal, not root), invalid (not running), and what CRIU said;
/// the container then goes on.
Result<void> checkpoint(const Runtime& runtime, const std::string& id, const CheckpointOptions& options);

/// A container as create() would make it, with the processes of the images instead of its command.
/// Its first process is a child of the caller. Hooks of the runtime run when it is there.
Result<Created> restore(const Runtime& runtime, const std::string& id, const Spec& spec,
                        const CreateOptions& options, const RestoreOptions& how);

}  // namespace kist::bundle

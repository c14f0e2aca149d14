// What the first process of a container does, from the clone to the end. The caller may have had
// threads, whose locks were copied as they were: nothing in here allocates, and failures go
// through the Reporter.
#pragma once

#include "runtime/plan.h"
#include "runtime/report.h"

namespace kist::runtime {

/// The whole of it: makes the container around this process, starts the command, reaps.
[[noreturn]] void become_container(const Plan& plan, const Reporter& report);

/// root_inside.cpp: mounts the root and returns a descriptor of it. Sets `scratch` to a tmpfs of
/// ours that nobody inside can reach by a path.
struct Root {
  int root = -1;
  int scratch = -1;
};
Root mount_root(const Plan& plan, const Reporter& report);

/// mounts_inside.cpp: all else that is seen inside.
void open_mount_sources(const Plan& plan, const Reporter& report);
void mount_system_folders(const Plan& plan, const Root& root, const Reporter& report);
void mount_user_folders(const Plan& plan, const Root& root, const Reporter& report);
/// A descriptor (O_PATH) of `path` inside the root, made as a folder or an empty file if missing.
int open_target(const Root& root, const char* path, bool folder, const Reporter& report);

/// accounts_inside.cpp: /etc/passwd and /etc/group with a line for the caller.
void mount_accounts(const Plan& plan, const Root& root, const Reporter& report);

/// command_inside.cpp: drops privileges and executes; never returns.
[[noreturn]] void become_command(const Plan& plan, const Reporter& report);

/// init_inside.cpp: reaps, passes signals on, and exits as `command` did.
[[noreturn]] void be_init(pid_t command, const Reporter& report);

}  // namespace kist::runtime

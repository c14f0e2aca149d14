// What making a container and entering one have in common; used by create.cpp and exec.cpp alone.
#pragma once

#include <string>

#include "base/result.h"
#include "bundle/container.h"
#include "bundle/inside.h"

namespace kist::bundle {

/// Whether cgroups that cannot be made are no error.
bool is_lenient(const Runtime& runtime);
/// The filter of the spec, compiled or found, and the connection to its agent.
Result<void> prepare_filter(const Runtime& runtime, const Spec& spec, ProcessPlan& plan,
                            SeccompFilter& filter);
/// To the console socket, or else to the caller.
Result<void> deliver_terminal(os::Fd master, const std::string& console_socket, Created& created);
/// Of `pid` (0: this process). What is above the hard limit that it has is lowered, and told.
Result<void> set_resource_limits(pid_t pid, const Process& process,
                                 std::vector<std::string>& lowered);
/// The same with `runtime` to tell, and the score for the kernel's killer.
Result<void> set_limits(const Runtime& runtime, pid_t pid, const Process& process);
void set_kill_score(const Runtime& runtime, pid_t pid, const Process& process);

}  // namespace kist::bundle

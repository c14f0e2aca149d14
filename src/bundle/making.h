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
/// Resource limits and the score for the killer, with the caller's privileges.
Result<void> set_limits(const Runtime& runtime, pid_t pid, const Process& process);
std::string rlimit_name(int resource);

}  // namespace kist::bundle

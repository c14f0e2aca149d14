// What making a container and entering one have in common; used inside the module alone.
#pragma once

#include <string>

#include "base/result.h"
#include "bundle/cgroups.h"
#include "bundle/container.h"
#include "bundle/inside.h"
#include "bundle/state_folder.h"
#include "bundle/systemd_scope.h"

namespace kist::bundle {

/// What contradicts itself, or would change the host. Errors: invalid.
Result<void> check_spec(const Spec& spec, const CreateOptions& options);
/// What is recorded of it first; nothing is made. Errors: those of paths that are not there.
Result<Record> describe(const Spec& spec, const CreateOptions& options, const std::string& id);
/// The cgroups, with their limits; `record` names them before they are made.
/// `placeholder` is to be closed when the first process is in them.
Result<Cgroups> make_cgroups(const Runtime& runtime, const Spec& spec, const StateFolder& folder,
                             const std::vector<Hierarchy>& hierarchies, Record& record,
                             Placeholder& placeholder);
/// Which devices may be used in them.
Result<void> restrict_devices(const Runtime& runtime, const Spec& spec, const Cgroups& cgroups);
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

#include <linux/sched.h>
#include <sched.h>
#include <unistd.h>

#include "bundle/cgroup_devices.h"
#include "bundle/making.h"

namespace kist::bundle {

Result<Cgroups> make_cgroups(const Runtime& runtime, const Spec& spec, const StateFolder& folder,
                             const std::vector<Hierarchy>& hierarchies, Record& record) {
  const bool lenient = is_lenient(runtime);
  Cgroups cgroups = TRY(Cgroups::plan(spec, record.state.id, hierarchies));
  record.cgroups = cgroups.folders();
  TRY(folder.write_draft(record));
  TRY(cgroups.make(lenient), "making the cgroups of the container");
  record.cgroups = cgroups.folders();
  Result<void> applied = cgroups.apply(spec.resources);
  if (!applied && !lenient) return applied.error();
  if (!applied && runtime.warn) runtime.warn(applied.error().message());
  return cgroups;
}

Result<void> restrict_devices(const Runtime& runtime, const Spec& spec, const Cgroups& cgroups) {
  // In a user namespace of a plain user no device can be made anyway, and no rule be set.
  if (spec.find_namespace(CLONE_NEWUSER) != nullptr && ::geteuid() != 0) return {};
  Result<void> devices = cgroups.apply_devices(device_rules(spec));
  if (!devices && !is_lenient(runtime)) return devices;
  return {};
}

}  // namespace kist::bundle

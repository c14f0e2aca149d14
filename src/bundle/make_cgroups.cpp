#include <linux/sched.h>
#include <sched.h>
#include <unistd.h>

#include "bundle/cgroup_devices.h"
#include "bundle/making.h"

namespace kist::bundle {

// In a user namespace of a plain user no device can be made anyway, and no rule be set.
static bool wants_device_rules(const Spec& spec) {
  return spec.find_namespace(CLONE_NEWUSER) == nullptr || ::geteuid() == 0;
}

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
  if (!wants_device_rules(spec)) return cgroups;
  Result<void> devices = cgroups.apply_devices(device_rules(spec));
  if (!devices && !lenient) return devices.error();
  return cgroups;
}

}  // namespace kist::bundle

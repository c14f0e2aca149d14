#include <linux/sched.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "bundle/cgroup_devices.h"
#include "bundle/making.h"
#include "os/files.h"

namespace kist::bundle {
namespace {

Result<std::vector<UnitProperty>> scope_properties(const Spec& spec, int version, bool user) {
  std::vector<UnitProperty> out = TRY(limit_properties(spec.resources, version));
  if (!user)
    for (UnitProperty& one : device_properties(device_rules(spec))) out.push_back(std::move(one));
  std::vector<UnitProperty> annotated = TRY(annotated_properties(spec.annotations));
  // The last of a name is the one that counts.
  for (UnitProperty& one : annotated) out.push_back(std::move(one));
  return out;
}

// The draft names the scope before it is made, as everything else.
Result<Cgroups> make_scope(const Spec& spec, const StateFolder& folder,
                           const std::vector<Hierarchy>& hierarchies, Record& record,
                           Placeholder& placeholder) {
  const std::string& id = record.state.id;
  const bool user = acts_for_a_user();
  const SystemdUnit unit = TRY(systemd_unit_of(spec.cgroups_path, id, user));
  const bool v1 = std::any_of(hierarchies.begin(), hierarchies.end(),
                              [](const Hierarchy& one) { return one.version == 1; });
  const std::vector<UnitProperty> properties = TRY(scope_properties(spec, v1 ? 1 : 2, user));
  record.systemd_unit = unit.name;
  TRY(folder.write_draft(record));
  placeholder = TRY(Placeholder::make());
  const Result<std::string> path = start_scope(unit, fmt::format("kist container {}", id),
                                               properties, placeholder.pid());
  if (path) return Cgroups::of_scope(*path, hierarchies);
  // What was not made, and may be somebody else's, is not to be stopped.
  if (path.error().code() != Code::unavailable) record.systemd_unit.clear();
  return path.error();
}

}  // namespace

bool acts_for_a_user() {
  if (::geteuid() != 0) return true;
  constexpr uint64_t kMostBytes = 1u << 16;
  const auto map = os::read_file("/proc/self/uid_map", kMostBytes);
  // The host's own maps all ids to themselves.
  return map && map->find("4294967295") == std::string::npos;
}

bool is_lenient(const Runtime& runtime) {
  return runtime.rootless.has_value() ? *runtime.rootless : acts_for_a_user();
}

Result<Cgroups> make_cgroups(const Runtime& runtime, const Spec& spec, const StateFolder& folder,
                             const std::vector<Hierarchy>& hierarchies, Record& record,
                             Placeholder& placeholder) {
  const bool lenient = is_lenient(runtime);
  const bool systemd = runtime.systemd_cgroups;
  Cgroups cgroups = TRY(systemd ? make_scope(spec, folder, hierarchies, record, placeholder)
                                : Cgroups::plan(spec, record.state.id, hierarchies, runtime.groups_in_v2));
  record.cgroups = cgroups.folders();
  TRY(folder.write_draft(record));
  TRY(cgroups.make(lenient, systemd), "making the cgroups of the container");
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

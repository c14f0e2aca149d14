#include "runtime/cgroups.h"

namespace kist::runtime {

Result<Cgroups> Cgroups::make(const Limits&, bool) { return Cgroups(); }
Cgroups::~Cgroups() = default;
std::vector<int> Cgroups::procs() const {
  std::vector<int> out;
  for (const Group& group : groups_) out.push_back(group.procs.get());
  return out;
}

}  // namespace kist::runtime

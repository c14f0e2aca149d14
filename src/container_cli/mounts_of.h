// What of the host, and which volumes, a container of an image gets to see: -v, --mount, --tmpfs,
// --volumes-from, and the image's own VOLUMEs.
#pragma once

#include <vector>

#include "cli/flags.h"
#include "container_cli/verb.h"

namespace kist::container_cli {

struct MountPlan {
  std::vector<containers::MountRequest> mounts;
  std::vector<containers::Volume> volumes;  // To be there before it starts; most of them may be already.
};

/// Where two say something of one place, the later wins: image, --volumes-from, then the flags.
/// Errors: invalid (what and where), not_found (a folder of the host, a container).
Result<MountPlan> mounts_of(const cli::Parsed& parsed, const launch::ReadyImage& image, const Here& here);

}  // namespace kist::container_cli

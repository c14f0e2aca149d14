// From the bytes of config.json to a Spec.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "bundle/spec.h"

namespace kist::bundle {

constexpr uint64_t kMaxConfigBytes = 16u << 20;

/// Hostile input: sizes, counts and depth are bounded. The first wrong field is named by its path
/// (`linux.namespaces[2].type: …`). Fields that the specification does not know are ignored, as it
/// asks for; known ones that we cannot honour (Intel RDT) are refused.
/// Errors: invalid, unsupported.
Result<Spec> read_spec(std::string_view bytes);
/// The same from a file. Errors: also those of reading it.
Result<Spec> read_spec_file(const std::string& path);
/// A file of `exec --process`: the "process" object alone.
Result<Process> read_process(std::string_view bytes);
/// A file of `update --resources`: the "linux.resources" object alone.
Result<Resources> read_resources(std::string_view bytes);

/// One option of fstab(5) into `options`; "" for what is nobody's.
void add_mount_option(std::string_view option, MountOptions& options);
/// The number of "CAP_CHOWN" or "chown"; empty for what is none.
std::optional<int> capability_number(std::string_view name);

}  // namespace kist::bundle

// What a single script says of its environment, in a comment (PEP 723).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::python {

struct ScriptMetadata {
  std::string requires_python;
  std::vector<std::string> dependencies;  // PEP 508 texts.
  std::string block;                      // The TOML, without comment signs: for the fingerprint.
};

/// Empty when the script has no `# /// script` block. Errors: invalid (two blocks; what is wrong in
/// it, with the script's own line numbers).
Result<std::optional<ScriptMetadata>> read_script_metadata(std::string_view script,
                                                           std::string_view file);

}  // namespace kist::python

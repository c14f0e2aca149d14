// From what was resolved (or locked by another tool) to the lock that kist writes.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "http/client.h"
#include "python/inputs.h"
#include "python/pylock.h"
#include "python/pylock_select.h"
#include "python/tags.h"

namespace kist::python {

/// What an index is asked for: poetry.lock and Pipfile.lock know hashes and no addresses.
struct IndexAccess {
  http::Client* client = nullptr;  // Null: offline.
  std::string index_url;           // May hold credentials.
};

/// Reads a lock of another tool (inputs.is_locked()), or kist's own when it is all there is.
/// Errors: those of the readers; unavailable (addresses are needed and the index cannot be asked).
Result<Lock> read_locked_input(const Inputs& inputs, const ProjectFiles& files,
                               const Target& target, const IndexAccess& index,
                               std::vector<std::string>& warnings);

/// The lock to write: only what the target installs, the hashes of the requirements obeyed, the
/// project itself added as an editable folder where it is a package, [tool.kist] filled with what
/// the inputs say. The caller adds recipe, base, interpreter and the Debian packages. Errors: those
/// of select() and apply_hashes().
Result<Lock> complete_lock(const Lock& resolved, const Inputs& inputs, const Target& target);

/// Why a lock cannot be used as it is; empty: it can. "requirements.txt has changed".
std::string why_stale(const Lock& lock, const Inputs& inputs, const Target& target);

}  // namespace kist::python

// poetry.lock and Pipfile.lock: versions and hashes without addresses. The index says where the
// files are; only files with a hash of the lock are taken.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/client.h"
#include "python/pylock.h"
#include "python/tags.h"

namespace kist::python {

struct ForeignLockOptions {
  Target target = {};
  std::vector<std::string> groups = {}, extras = {};
  bool default_groups = true;  // poetry: "main" and "dev"; Pipfile: "default" and "develop".
};

struct ForeignLock {
  /// Packages from an index come with no files, the others are complete.
  Lock lock;
  /// By package name: the hashes that its files may have, "sha256:…".
  std::map<std::string, std::vector<std::string>> hashes;
};

/// poetry.lock 1.x and 2.x. Errors: invalid, unsupported (other versions).
Result<ForeignLock> read_poetry_lock(std::string_view text, std::string_view file,
                                     const ForeignLockOptions& options);
/// Pipfile.lock (pipfile-spec 6). Errors: invalid, unsupported.
Result<ForeignLock> read_pipfile_lock(std::string_view text, std::string_view file,
                                      const ForeignLockOptions& options);

/// Fills in files, one page of the index a package. Errors: unavailable (no client), corrupt (no
/// file of the index has a hash of the lock), and those of fetch_index_page().
Result<Lock> find_addresses(const ForeignLock& foreign, http::Client* client,
                            std::string_view index_url);

}  // namespace kist::python

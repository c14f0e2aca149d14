// The project's own files as a tree at /app.
#pragma once

#include <string>
#include <vector>

#include "environment/context.h"
#include "store/store.h"

namespace kist::engine {

inline constexpr std::string_view kApplicationFolder = "app";

struct ApplicationRequest {
  std::string folder;                // The project's.
  std::vector<std::string> include;  // Paths in it; empty: all that is not ignored.
  std::vector<std::string> left_out; // Absolute paths that are never in it: what the build itself writes.
};

/// Contents go to `tx`. Owner root, mode 0644 or 0755, one time for all: what a file's owner, umask
/// and clock were is no part of the image. Left out are what .gitignore (also of the folders above,
/// up to the repository's) and .dockerignore say, version control, byte-code, caches of tools and
/// virtual environments. What `include` names by itself is in, whatever these say.
/// Errors: not_found (a path of `include`), those of reading, unavailable (disk full).
Result<store::Tree> application_tree(const environment::Context& context, const ApplicationRequest& request,
                                     store::Transaction& tx);

}  // namespace kist::engine

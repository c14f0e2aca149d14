// The uv that kist brings when the machine has none: a release pinned by hash, from the machine's
// own package index, as a wheel with one static program in it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/client.h"

namespace kist::python {

struct UvRelease {
  std::string_view version;
  std::string_view platform;  // "linux/amd64"
  std::string_view file_name;
  std::string_view sha256;
  uint64_t size_bytes;
  /// The program inside of the wheel.
  std::string program() const;
};

/// Errors: unsupported (no release for the platform).
Result<UvRelease> pinned_uv(std::string_view platform);

/// Where the release is, by the page of the index: the file with its hash, whatever its name there.
/// The download's path is left for the caller to fill in.
/// Errors: those of fetch_index_page, not_found (the index has no such file).
Result<http::Download> find_uv(http::Client& client, std::string_view index_url,
                               const UvRelease& release);

}  // namespace kist::python

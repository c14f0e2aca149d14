// The signed table of contents of an archive (InRelease) and the package indexes it names, fetched,
// checked and cached.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debian/mirror.h"
#include "debian/signature.h"
#include "http/client.h"
#include "oci/digest.h"

namespace kist::debian {

struct IndexFile {
  oci::Digest sha256;
  uint64_t size_bytes;
};

/// What a Release file says.
struct Release {
  std::string origin, label, suite, codename;
  int64_t date_s = 0;                     // Unix time.
  std::optional<int64_t> valid_until_s;
  bool by_hash = false;
  std::map<std::string, IndexFile> files;  // "main/binary-amd64/Packages.xz" …
};

/// Errors: corrupt (names field or line).
Result<Release> parse_release(std::string_view text);
/// Of "Sat, 11 Jul 2026 10:16:37 UTC". Errors: corrupt.
Result<int64_t> parse_release_date(std::string_view text);
/// Errors: denied (expired; or from the future, which means that our clock is wrong).
Result<void> check_dates(const Release& release, const Archive& archive, int64_t now_s);

/// Everything that fetching needs from outside. The references must outlive the call.
struct IndexContext {
  http::Client& client;
  std::string cache_dir;     // Made when missing; safe to share and to delete at any time.
  int64_t now_s = 0;
  VerifierPrograms programs;
  std::vector<std::string> machine_keyrings;
  bool offline = false;      // Use what is cached, or fail with unavailable.
};

/// One package index, checked against the signed Release file.
struct PackagesIndex {
  std::string suite;         // "trixie-security".
  std::string component;
  std::string architecture;
  std::string uri;           // Of the archive: "…/" + LockedDeb::path is the package.
  oci::Digest sha256;        // Of the compressed index: names its content.
  std::string path;          // The compressed index in the cache.
};

/// The indexes of all pockets for one architecture. For each pocket the archives are tried in order
/// and the first whose signed Release is Debian's wins. Unchanged files are not fetched again: the
/// Release by its ETag, an index by its hash.
///
/// Errors: those of the client; denied (signature, dates; says which archive); not_found (the
/// archive does not have the architecture).
Result<std::vector<PackagesIndex>> fetch_indexes(const std::vector<Pocket>& pockets,
                                                 const std::string& architecture,
                                                 const IndexContext& context);

/// The text of an index. Errors: corrupt, invalid (unpacks to more than 1 GiB).
Result<std::string> read_index(const PackagesIndex& index);

}  // namespace kist::debian

// Which archives hold a Debian suite, derived from the sources that the host has for its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "debian/apt_config.h"

namespace kist::debian {

/// One archive address for one pocket of a suite; several may serve the same pocket.
struct Archive {
  std::string uri;
  std::string suite;                    // "trixie-security": what stands under dists/.
  std::vector<std::string> components;  // {"main"}.
  std::vector<std::string> keyrings;
  std::string inline_key;
  bool check_valid_until = true;
  bool check_date = true;
};

/// All archives that may serve one pocket, in the host's order.
struct Pocket {
  std::string suite;  // "trixie", "trixie-updates", "trixie-security".
  std::vector<Archive> archives;
};

/// The pockets of `suite` ("trixie"): main, updates and security, as far as the host has them for
/// its own release: the release's name in each source is replaced by the wanted one. Backports and
/// sources of other vendors are left out; a vendor that names its suite like Debian's is told apart
/// later by the Origin in its signed Release file.
///
/// Errors: not_found (no source for Debian on this machine; says where it looked).
Result<std::vector<Pocket>> find_pockets(const AptConfig& config, const std::string& suite);

/// "trixie-security" gives {"trixie", "-security"}; "stable" counts as a release name too. Empty
/// when it is no name of a Debian release that kist knows.
struct SuiteName {
  std::string release;
  std::string pocket;
};
std::optional<SuiteName> split_suite(std::string_view suite);

}  // namespace kist::debian

// Which Debian packages make the base that an environment stands on.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace kist::debian {

struct BaseSet {
  std::string suite;
  std::string python;  // "3.11": the suite's own interpreter.
  std::vector<std::string> packages;
  std::vector<std::string> interpreter;  // Its packages, for who has no other.
};

/// A shell, the tools that scripts take for granted, certificates, time zones, what wheels expect
/// of a manylinux system (libstdc++, libgomp), no documents, no apt; and apart from these the
/// suite's interpreter.
/// Errors: unsupported (suites other than bookworm and trixie; the hint lists them).
Result<BaseSet> base_packages(const std::string& suite);

/// The suites that base_packages() knows, newest first.
std::vector<std::string> known_suites();

}  // namespace kist::debian

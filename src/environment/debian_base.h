// The Debian part of an environment: which packages, and the one tree that they make.
#pragma once

#include <string>
#include <vector>

#include "environment/context.h"
#include "python/pylock.h"
#include "store/store.h"

namespace kist::environment {

struct DebianRequest {
  std::string suite;         // "bookworm"
  std::string architecture;  // "amd64"
  std::vector<std::string> system;  // What the project asks for, beside the base set.
  std::vector<python::LockedDebianPackage> keep;  // Of an earlier lock.
  bool has_own_python = false;          // Then the suite's is left out,
  std::vector<std::string> libraries;   // and these come in that it needs: "libffi.so.8".
};

/// The base set of the suite, the system packages and all that they need, pinned.
/// Errors: not_found (a package; the hint has the nearest name), invalid, those of the network.
Result<std::vector<python::LockedDebianPackage>> lock_debian(const Context& context,
                                                             const DebianRequest& request);

/// The store's name for the tree that these packages make: covers the recipes that make it.
std::string base_name(const std::vector<python::LockedDebianPackage>& packages,
                      const std::string& suite, const std::string& architecture);

struct Base {
  store::Tree tree;     // Everything, configured, in one tree.
  oci::Digest digest{oci::Digest::Bytes{}};
  size_t packages = 0;
  size_t assembled = 0;
  uint64_t fetched_bytes = 0;
};

/// The tree of locked packages: from the store when it was ever made here, else fetched, unpacked
/// and configured. `architecture` as the packages'. Errors: those of gather(); exists (two packages
/// disagree about a file).
Result<Base> assemble_debian(const Context& context,
                             const std::vector<python::LockedDebianPackage>& packages,
                             const std::string& suite, const std::string& architecture,
                             store::Transaction& tx);

}  // namespace kist::environment

// /etc/ld.so.cache, written by us so that nothing of the environment has to run: the bytes that
// ldconfig of the same C library writes for the same files. docs/formats/debian-base.md has them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "debian/root_view.h"

namespace kist::debian {

struct LdCache {
  std::string bytes;
  /// Links that ldconfig would make beside libraries whose file name is not their soname: path and
  /// target. Packages bring nearly all of them.
  std::vector<std::pair<std::string, std::string>> links;
};

/// Facts of the ELF files of all packages, by path in the tree.
using LibraryMap = std::map<std::string, const ElfFacts*, std::less<>>;

/// `libc_version` is the Debian version of libc-bin: the cache names its writer. `architecture` as
/// Debian calls it. Not read: glibc-hwcaps folders, which the Debian archive does not use in these
/// suites. Errors: unsupported (architecture), those of reading ld.so.conf.
Result<LdCache> make_ld_cache(const RootView& root, const LibraryMap& libraries,
                              const std::string& architecture, const std::string& libc_version);

/// How ldconfig orders library names: digits by value. Negative, 0 or positive.
int compare_library_names(std::string_view a, std::string_view b);

}  // namespace kist::debian

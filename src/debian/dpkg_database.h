// /var/lib/dpkg, written so that `dpkg -l`, scanners and a later apt read it.
#pragma once

#include <string>
#include <vector>

#include "debian/deb.h"
#include "debian/root_view.h"
#include "store/object_sink.h"

namespace kist::debian {

struct DatabaseEntry {
  std::string package;
  std::string architecture;
  const DebMeta* meta;
};

/// status, info/*, triggers/* and the empty files that dpkg expects. Packages are written sorted by
/// name. Conffiles that the filter left out are listed with the md5 "newconffile", as dpkg notes
/// them while they are not there. Errors: corrupt (a control file that does not parse), those of
/// reading.
Result<void> add_dpkg_database(std::vector<DatabaseEntry> packages, const RootView& root,
                               const PathFilter& filter, store::TreeBuilder& builder);

}  // namespace kist::debian

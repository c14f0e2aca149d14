// The outer container of a .deb: "!<arch>\n" and members with 60-byte headers (ar(5), deb(5)).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::archive {

struct ArMember {
  std::string name;        // Without padding and without the trailing '/' that some writers add.
  std::string_view bytes;  // Part of the input.
};

/// The members in file order. Only what deb(5) allows is read: short names, decimal sizes; the GNU
/// and BSD long-name tables are refused, since no .deb may hold them.
///
/// Our own reader instead of libarchive's, because the members are then views into the mapped file
/// and can be decompressed without a copy. Errors: corrupt (says what and at which offset).
Result<std::vector<ArMember>> read_ar(std::string_view file);

}  // namespace kist::archive

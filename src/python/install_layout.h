// Where each entry of a wheel goes. Pure; seen by install.cpp and its test.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "archive/zip.h"
#include "python/entry_points.h"
#include "python/install.h"

namespace kist::python {

/// One entry of the wheel that becomes a file.
struct Placed {
  const archive::ZipEntry* source;
  std::string path;  // Below the prefix: "lib/python3.11/site-packages/six.py".
  uint32_t mode;
  bool is_script;  // Its first line may have to be replaced.
};

struct Layout {
  std::vector<Placed> files;  // In the order of the archive.
  std::vector<std::string> warnings;
};

/// Leaves out folders and what the installer writes itself (RECORD, INSTALLER, …).
/// Errors: invalid (a link or device, an unknown kind of data, a script in a folder, a reserved
/// name).
Result<Layout> lay_out(const archive::ZipFile& zip, const WheelInfo& info,
                       const InstallTarget& target, const std::vector<Script>& scripts);

/// The path as RECORD of `target` gives it: relative to site-packages.
std::string record_path(std::string_view path_below_prefix, const InstallTarget& target);

}  // namespace kist::python

// A wheel becomes a tree: what pip would have installed, without running anything of it, and the
// same bytes on every machine. docs/wheel-differences.md lists where it differs from pip, and why.
//
//   os::Workers workers(os::core_count() - 1);
//   InstalledWheel got = TRY(install_wheel(path, {.file_name = "six-1.17.0-py2.py3-none-any.whl"},
//                                          {.python_minor = "3.11"}, sink, workers));
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "oci/digest.h"
#include "os/workers.h"
#include "python/wheel.h"
#include "store/object_sink.h"
#include "store/tree.h"

namespace kist::python {

struct InstallTarget {
  std::string prefix = "/opt/kist";  // Absolute. Of the environment, inside the container.
  std::string python_minor = "3.11";
  /// direct_url.json, for a requirement given by URL, VCS or path; must be empty for any other.
  std::optional<std::string> direct_url_json = std::nullopt;
  std::string installer = "kist";

  /// "lib/python3.11/site-packages", below the prefix.
  std::string site_packages() const { return "lib/python" + python_minor + "/site-packages"; }
};

struct InstalledWheel {
  store::Tree tree;  // Paths from the root: "opt/kist/lib/python3.11/site-packages/six.py".
  WheelInfo info;
  std::vector<std::string> warnings;  // Each a line for people, without the wheel's name.
};

/// Names what install_wheel() makes of the wheel with this sha256, without having the wheel: the
/// store keeps the tree as "wheel/<key>". 64 hex digits. Covers the recipe's version, so that a
/// change of these rules makes new trees.
std::string package_key(const oci::Digest& wheel_sha256, const InstallTarget& target);

/// Unpacks, checks and rearranges; the rules are in install.cpp, in order. The wheel's platform does
/// not matter, since nothing is executed. The caller has compared the file with the lock's sha256.
///
/// Several wheels may be installed at once with the same `workers` and sink. Memory: per thread
/// that works, at most 65 MB (mostly below 20); per entry of the wheel about 400 bytes.
/// Errors: invalid and corrupt (the wheel; the message names it), unsupported, and the sink's.
Result<InstalledWheel> install_wheel(const std::string& wheel_path, const WheelIdentity& identity,
                                     const InstallTarget& target, store::ObjectSink& sink,
                                     os::Workers& workers);

}  // namespace kist::python

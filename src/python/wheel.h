// What a wheel says about itself, checked: the binary distribution format, without installing.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive/zip.h"
#include "base/result.h"

namespace kist::python {

/// The headers of METADATA or WHEEL: "Name: value" lines up to the first empty one (RFC 822).
class Headers {
 public:
  /// Errors: invalid (more than 100,000 lines, a continuation of nothing).
  static Result<Headers> parse(std::string_view text);
  /// The first value, or an empty text. Names compare without case.
  std::string_view get(std::string_view name) const;
  std::vector<std::string_view> all(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;  // Names in lower case.
};

/// What the caller knows of a wheel before it is opened. `file_name` is the name under which the
/// wheel was published, whatever the file at hand is called.
struct WheelIdentity {
  std::string file_name;
  std::string name;     // Of the lock; empty: not checked.
  std::string version;  // The same.
};

struct WheelInfo {
  std::string name;       // As METADATA has it; safe as a file name.
  std::string version;    // As METADATA has it.
  std::string dist_info;  // "numpy-2.1.0.dist-info"
  std::string data;       // "numpy-2.1.0.data", whether or not there is such a folder.
  std::vector<std::string> warnings;
};

/// What a wheel is allowed to be: far above real ones (torch: 12,000 entries, 2.5 GB).
inline constexpr archive::ZipLimits kWheelLimits{.entries = 300'000,
                                                 .directory_bytes = 128u << 20,
                                                 .unpacked_bytes = 32ull << 30};

/// Checks rules 1 and 2 of the wheel format and of ours: one .dist-info folder with WHEEL, METADATA
/// and RECORD; a known Wheel-Version; METADATA's name and version equal the file name's and the
/// identity's (a local version may be missing in the file name).
/// Errors: invalid, unsupported (Wheel-Version 2), and those of reading a zip.
Result<WheelInfo> inspect_wheel(const archive::ZipFile& zip, const WheelIdentity& identity,
                                archive::ZipScratch& scratch);

/// The text of METADATA of the wheel at `path`, for those who resolve dependencies of local wheels.
/// Errors: as inspect_wheel.
Result<std::string> read_wheel_metadata(const std::string& path, const WheelIdentity& identity);

}  // namespace kist::python

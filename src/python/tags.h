// Wheel file names and which of them a target can install (PEP 425, 427, 600).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace kist::python {

/// What an environment runs on: CPython on Linux, with glibc or musl.
struct Target {
  std::string platform = "linux/amd64";  // Or "linux/arm64".
  uint32_t python_minor = 11;            // Of Python 3.
  std::string python_full;               // "3.11.2"; empty: "3.11.0".
  uint32_t glibc_minor = 36;             // Of glibc 2: 36 bookworm, 41 trixie.
  uint32_t musl_minor = 0;               // Of musl 1; 0: it has glibc.
  std::string python_home = "/usr";      // Where its interpreter is installed, inside.
  std::string program;                   // Of an image, "/opt/conda/bin/python3.12"; empty: as usual.

  /// "x86_64", "aarch64".
  std::string machine() const;
  std::string python() const { return "3." + std::to_string(python_minor); }
  /// "/usr/bin/python3.11"
  std::string python_program() const {
    return program.empty() ? python_home + "/bin/python" + python() : program;
  }
  std::string python_full_version() const {
    return python_full.empty() ? python() + ".0" : python_full;
  }
  /// "glibc 2.36", "musl 1.2"
  std::string libc() const;
  /// "Python 3.11 on linux/amd64 (glibc 2.36)".
  std::string describe() const;
  bool operator==(const Target&) const = default;
};

/// "3.11" or "3.11.2". Errors: invalid, unsupported (not Python 3.8 or later; unknown platform).
Result<Target> make_target(std::string_view platform, std::string_view python,
                           uint32_t glibc_minor);
/// The glibc that a Debian suite has: bookworm 36, trixie 41. Empty for a suite that we do not
/// know.
std::optional<uint32_t> glibc_minor_of_suite(std::string_view suite);
/// Of what Target::libc() gives, into the target. Errors: invalid.
Result<void> set_libc(std::string_view libc, Target& target);

/// "numpy-2.1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", taken apart.
struct WheelName {
  std::string distribution;  // As written.
  std::string version;       // As written.
  std::string build;         // "1", "2b"; mostly empty.
  std::vector<std::string> pythons, abis, platforms;
};
/// Errors: invalid.
Result<WheelName> parse_wheel_name(std::string_view file_name);

/// The tags that a target takes, ranked. Costs some 100 µs to make; make one per target.
class Tags {
 public:
  explicit Tags(const Target& target);
  /// The best of the wheel's tags: 0 is the most specific. Empty: cannot be installed.
  std::optional<uint32_t> rank(const WheelName& wheel) const;

 private:
  void add(const std::string& python, const std::string& abi, const std::string& platform);
  std::unordered_map<std::string, uint32_t> ranks_;
};

/// The index in `file_names` of the wheel to install: best rank, then highest build. Names that are
/// no wheels are passed over. Empty: none can be installed.
std::optional<size_t> best_wheel(const Tags& tags, const std::vector<std::string>& file_names);

}  // namespace kist::python

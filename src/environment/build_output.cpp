#include "environment/build_output.h"

#include <array>

#include "base/result.h"
#include "base/text.h"

namespace kist::environment {
namespace {

// As setuptools, distutils, meson, CMake, cargo and autotools say it.
constexpr std::array<std::string_view, 14> kNoCompiler = {
    "gcc' failed: No such file",      "g++' failed: No such file",
    "gcc: No such file or directory", "unable to execute 'x86_64-linux-gnu-g",
    "unable to execute 'aarch64-linux-gnu-g", "gcc' failed",
    "Python.h: No such file",         "Unknown compiler(s)",
    "No CMAKE_C_COMPILER could be found", "No CMAKE_CXX_COMPILER could be found",
    "CMAKE_C_COMPILER not set", "CMAKE_CXX_COMPILER not set",
    "linker `cc` not found",          "no acceptable C compiler found"};

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// "zlib.h" of "x.c:1:10: fatal error: zlib.h: No such file or directory".
std::string_view missing_header(std::string_view output) {
  constexpr std::string_view kBefore = "fatal error: ";
  constexpr std::string_view kAfter = ": No such file or directory";
  for (const std::string_view line : lines(output)) {
    const size_t at = line.find(kBefore);
    const size_t end = line.find(kAfter);
    if (at != std::string_view::npos && end != std::string_view::npos && at + kBefore.size() < end)
      return line.substr(at + kBefore.size(), end - at - kBefore.size());
  }
  return {};
}

}  // namespace

bool lacks_compiler(std::string_view output) {
  // setuptools does not always tell why an optional extension was left out.
  if (has(output, "building '") && has(output, "' extension")) return true;
  for (const std::string_view sign : kNoCompiler)
    if (has(output, sign)) return true;
  return false;
}

std::string build_hint(std::string_view output) {
  if (const std::string_view header = missing_header(output); !header.empty())
    return fmt::format("`kist add --system NAME-dev`, with the Debian package that has the header {}",
                       printable(header, 80));
  if (has(output, "pkg-config") || has(output, "Dependency lookup"))
    return "`kist add --system pkg-config NAME-dev`, with the Debian package of the library it looks for";
  for (const std::string_view program : {"cmake", "ninja", "cargo", "rustc", "gfortran", "swig"})
    if (has(output, fmt::format("{}: not found", program)) ||
        has(output, fmt::format("{}: command not found", program)) ||
        has(output, fmt::format("No such file or directory: '{}'", program)))
      return fmt::format("`kist add --system {}`", program);
  return "";
}

}  // namespace kist::environment

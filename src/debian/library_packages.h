// Which Debian package has a shared library, by Debian's rule for naming such packages. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kist::debian {

/// Names that the package with the library "libffi.so.8" may have, the likeliest first: libffi8t64,
/// libffi8. Which of them a suite has, Solver::knows() tells. Empty for parts of the C library
/// itself, and for names that are no library's.
std::vector<std::string> packages_of_library(std::string_view soname);

}  // namespace kist::debian

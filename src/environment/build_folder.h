// When a folder that is built from has changed.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "oci/digest.h"

namespace kist::environment {

/// Absolute paths of what configures a build, present or not.
std::vector<std::string> build_files(const std::string& folder);

/// Over names, kinds, x bits and contents of all files but version control's, caches' and virtual
/// environments'. Errors: unsupported (more than 100,000 files), those of reading.
Result<std::string> digest_of_sources(const std::string& folder);

/// Over build_files() alone: an editable package is read from its folder, so its sources may change.
Result<std::string> digest_of_build_files(const std::string& folder);

/// Whether there is something that a compiler is for: C, C++, Fortran, Cython, or the files of
/// a build system for them. Errors: those of reading.
Result<bool> has_native_sources(const std::string& folder);

}  // namespace kist::environment

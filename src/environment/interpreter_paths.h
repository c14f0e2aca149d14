// What a standalone Python says of its own place in text files, changed to where it is now. Pure.
#pragma once

#include <string>
#include <string_view>

namespace kist::environment {

/// Whether the file at this path below the interpreter's folder is one that fix_interpreter_text()
/// is for: sysconfig's data, pkg-config's files, scripts.
bool has_own_paths(std::string_view path, std::string_view python_minor);

/// The folder that it was built for, out of _sysconfigdata*.py; empty when it does not say, or says
/// /usr, whose name stands for the system's own files too.
std::string build_prefix(std::string_view sysconfigdata);

/// With `prefix` replaced by `home` wherever it stands as a whole path or the start of one, the
/// interpreter of scripts ("#!…/python3.12") by that of `home`, and compilers that were those of the
/// build ("clang", "/tools/bin/gcc") by what is there: cc, c++, ar.
std::string fix_interpreter_text(std::string_view path, std::string_view text,
                                 std::string_view prefix, std::string_view home);

}  // namespace kist::environment

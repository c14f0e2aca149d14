// entry_points.txt and the scripts that are made of it (the "Entry points specification"). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::python {

/// A command that calls a function: "f2py = numpy.f2py.f2py2e:main".
struct Script {
  std::string name;       // The file in bin/.
  std::string module;     // "numpy.f2py.f2py2e"
  std::string attribute;  // "main", "App.main"
  bool operator==(const Script&) const = default;
};

/// The console_scripts and gui_scripts, sorted by name, each name once (of two, a gui script, then
/// the later one, as pip writes them). Extras behind a value are dropped, other groups passed over.
/// Errors: invalid (not UTF-8; a value that is no "module:function" of Python names; a name that is
/// no file name, or that would be Python itself).
Result<std::vector<Script>> parse_entry_points(std::string_view text);

/// Names that an environment has for itself: "python", "python3.11", "pypy3", "pythonw.exe" …
bool is_reserved_script_name(std::string_view name);

/// Whether `file_name` is the wrapper that some build tool made for the entry point `script`:
/// "x", "x.exe", "x-script.py", "x.pya".
bool is_wrapper_of(std::string_view file_name, std::string_view script);

/// The first line (or, where the kernel could not take it, lines) of a script that Python in
/// `prefix` runs, with the final newline.
std::string shebang(std::string_view prefix);
/// The whole file.
std::string script_text(const Script& script, std::string_view shebang_lines);

}  // namespace kist::python

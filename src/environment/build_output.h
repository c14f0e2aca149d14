// What the output of a build tells about what it lacked. Pure.
#pragma once

#include <string>
#include <string_view>

namespace kist::environment {

/// Whether a compiler, or the interpreter's headers, were looked for, in a root that has none. Some packages go on
/// without their extension then, so it is worth asking after a success too.
bool lacks_compiler(std::string_view output);

/// What to try after a failure: "`kist add --system …-dev`". Empty when the output says nothing.
std::string build_hint(std::string_view output);

}  // namespace kist::environment

// Paths as people type them, made absolute and plain: one folder has one name, since names are keys.
#pragma once

#include <string>
#include <string_view>

namespace kist::launch {

/// By text alone: without ".", "//", a slash at the end, and with ".." taking the name before it.
/// `path` is absolute.
std::string clean_path(std::string_view path);

/// `path` of the host, relative to `folder`, absolute and clean. ".." goes up from where links lead
/// to, as the kernel does, so that what is found is what the same path means to other programs.
std::string host_path(std::string_view path, std::string_view folder);

}  // namespace kist::launch

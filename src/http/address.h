// The names of files in addresses, and addresses of files. Pure; hostile text is harmless here.
#pragma once

#include <string>
#include <string_view>

namespace kist::http {

/// "https://host/path/to/a%2Bb.whl?x#y" gives "a+b.whl". What is not well escaped stays as it is.
std::string file_name_of_url(std::string_view url);

/// The file: address of an absolute path. Only what an address gives another meaning, and control
/// characters, are escaped (RFC 8089, RFC 3986): other bytes are common and understood as they are.
std::string file_url(std::string_view path);

}  // namespace kist::http

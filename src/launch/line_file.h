// Files of "key value" lines with percent-encoded values: what the fast path reads without a library.
// Module-private.
#pragma once

#include <charconv>
#include <string>
#include <string_view>

namespace kist::launch {

/// Names a file or folder after a text: a path, an image's name. Not cryptographic: whoever can
/// choose the text owns the store, and the file inside repeats it.
std::string text_key(std::string_view text);

void put_line(std::string& out, std::string_view key, std::string_view value);

/// The whole text as a number.
template <class T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace kist::launch

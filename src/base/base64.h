// RFC 4648. Each sequence of bytes has one spelling that decodes to it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kist {

/// With '+' and '/', padded.
std::string encode_base64(std::string_view bytes);
/// The same, with or without padding. Empty: it is not that.
std::optional<std::string> decode_base64(std::string_view text);
/// With '-' and '_', without padding, as in a token (RFC 7515); safe as a file's name.
std::string encode_base64_url(std::string_view bytes);
std::optional<std::string> decode_base64_url(std::string_view text);

}  // namespace kist

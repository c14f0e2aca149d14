// Small text tools that several modules use. Pure; no locale is ever consulted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kist {

std::string_view trim(std::string_view text);
/// Splits at every `separator`; an empty text gives one empty piece.
std::vector<std::string_view> split(std::string_view text, char separator);
/// The lines of `text` without their "\n" or "\r\n"; a last line without a newline counts.
std::vector<std::string_view> lines(std::string_view text);
std::string to_lower(std::string_view text);
bool is_valid_utf8(std::string_view text);
/// Decimal digits only, the whole text, no overflow.
std::optional<uint64_t> parse_number(std::string_view text);

/// "12.3 MB": decimal units, as download tools print them.
std::string human_bytes(uint64_t bytes);
/// "850ms", "3.2s", "2m05s".
std::string human_seconds(double seconds);

/// For messages: the text with control and non-UTF-8 bytes as \xNN, so that a hostile name cannot
/// steer the reader's terminal. At most `limit` bytes, then "…".
std::string printable(std::string_view text, size_t limit = 200);
/// Quoted for a POSIX shell, only when necessary.
std::string shell_quote(std::string_view text);

/// Reversible encoding that leaves no space, newline, '%' or control byte, for line-based files.
std::string percent_encode(std::string_view text);
std::optional<std::string> percent_decode(std::string_view text);

/// The candidate nearest to `word` by edit distance, if near enough to be a likely typing error.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace kist

#include "base/base64.h"

#include <algorithm>
#include <cstdint>

namespace kist {
namespace {

// 0…63, or -1. `plus` and `slash`: the last two letters of the alphabet.
int base64_value(char c, char plus, char slash) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == plus) return 62;
  if (c == slash) return 63;
  return -1;
}

// Without padding. Three bytes at a time: layers have megabytes of it.
std::string encode_64(std::string_view bytes, char plus, char slash) {
  char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  alphabet[62] = plus;
  alphabet[63] = slash;
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) bits = bits << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k <= count; ++k) out += alphabet[bits >> (18 - 6 * k) & 63];
  }
  return out;
}

// Without padding. A last letter whose unused bits are set would be a second spelling: refused.
std::optional<std::string> decode_64(std::string_view text, char plus, char slash) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = base64_value(c, plus, slash);
    if (value < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<uint32_t>(value)) & 0xffffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>(bits >> held & 0xff);
    }
  }
  if ((bits & ((1u << held) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 == 0)
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  return decode_64(text, '+', '/');
}

std::string encode_base64(std::string_view bytes) {
  std::string out = encode_64(bytes, '+', '/');
  out.append((4 - out.size() % 4) % 4, '=');
  return out;
}

std::string encode_base64_url(std::string_view bytes) { return encode_64(bytes, '-', '_'); }

std::optional<std::string> decode_base64_url(std::string_view text) { return decode_64(text, '-', '_'); }

}  // namespace kist

// Layout, big-endian: magic, version, count; per entry tag 2 (certificate), alias, date in ms, type,
// length, certificate; in the end SHA-1 over the password in UTF-16, "Mighty Aphrodite", and all before.
// Texts are a length of two bytes and as many bytes. SHA-1 is what the format asks for; it protects
// nothing here.
#include "debian/java_keystore.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace kist::debian {
namespace {

constexpr uint32_t kMagic = 0xFEEDFEED;
constexpr uint32_t kVersion = 2;
constexpr uint32_t kCertificate = 2;
constexpr uint64_t kDateMs = 315532800000;  // The time of trees.
constexpr size_t kDigestBytes = 20;
constexpr std::string_view kSalt = "Mighty Aphrodite";
constexpr std::string_view kPassword = "changeit";

void put(std::string& out, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

void sha1_block(std::array<uint32_t, 5>& state, const unsigned char* block) {
  std::array<uint32_t, 80> w;
  for (size_t i = 0; i < 16; ++i)
    w[i] = uint32_t{block[4 * i]} << 24 | uint32_t{block[4 * i + 1]} << 16 |
           uint32_t{block[4 * i + 2]} << 8 | uint32_t{block[4 * i + 3]};
  for (size_t i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  auto [a, b, c, d, e] = state;
  for (size_t i = 0; i < 80; ++i) {
    uint32_t mix = 0;
    if (i < 20) mix = ((b & c) | (~b & d)) + 0x5A827999;
    else if (i < 40) mix = (b ^ c ^ d) + 0x6ED9EBA1;
    else if (i < 60) mix = ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC;
    else mix = (b ^ c ^ d) + 0xCA62C1D6;
    const uint32_t next = std::rotl(a, 5) + mix + e + w[i];
    e = std::exchange(d, std::exchange(c, std::rotl(std::exchange(b, std::exchange(a, next)), 30)));
  }
  state = {state[0] + a, state[1] + b, state[2] + c, state[3] + d, state[4] + e};
}

std::string sha1(std::string text) {
  const uint64_t bits = uint64_t{text.size()} * 8;
  text += static_cast<char>(0x80);
  while (text.size() % 64 != 56) text += '\0';
  put(text, bits, 8);
  std::array<uint32_t, 5> state = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  for (size_t at = 0; at < text.size(); at += 64)
    sha1_block(state, reinterpret_cast<const unsigned char*>(text.data() + at));
  std::string out;
  for (const uint32_t word : state) put(out, word, 4);
  return out;
}

std::string signature_of(std::string_view content) {
  std::string text;
  for (const char c : kPassword) (text += '\0') += c;
  text += kSalt;
  text += content;
  return sha1(std::move(text));
}

class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}
  uint64_t number(size_t bytes) {
    uint64_t value = 0;
    for (const char c : take(bytes)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  std::string_view text() { return take(number(2)); }
  std::string_view take(size_t bytes) {
    if (bytes > rest_.size()) {
      is_good_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view out = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return out;
  }
  bool is_at_end() const { return is_good_ && rest_.empty(); }
  bool is_good() const { return is_good_; }

 private:
  std::string_view rest_;
  bool is_good_ = true;
};

}  // namespace

std::optional<std::string> undated_keystore(std::string_view bytes) {
  if (bytes.size() < 12 + kDigestBytes) return std::nullopt;
  const std::string_view content = bytes.substr(0, bytes.size() - kDigestBytes);
  Reader reader(content);
  if (reader.number(4) != kMagic || reader.number(4) != kVersion) return std::nullopt;
  if (bytes.substr(content.size()) != signature_of(content)) return std::nullopt;
  const uint64_t count = reader.number(4);
  std::vector<std::pair<std::string_view, std::string>> entries;
  for (uint64_t i = 0; i < count && reader.is_good(); ++i) {
    if (reader.number(4) != kCertificate) return std::nullopt;
    const std::string_view alias = reader.text();
    reader.number(8);
    const std::string_view type = reader.text();
    const std::string_view certificate = reader.take(reader.number(4));
    std::string entry;
    put(entry, kCertificate, 4);
    put(entry, alias.size(), 2);
    entry += alias;
    put(entry, kDateMs, 8);
    put(entry, type.size(), 2);
    entry += type;
    put(entry, certificate.size(), 4);
    entry += certificate;
    entries.emplace_back(alias, std::move(entry));
  }
  if (!reader.is_at_end()) return std::nullopt;
  std::sort(entries.begin(), entries.end());
  std::string out;
  put(out, kMagic, 4);
  put(out, kVersion, 4);
  put(out, entries.size(), 4);
  for (const auto& [alias, entry] : entries) out += entry;
  return out + signature_of(out);
}

}  // namespace kist::debian

#include "networks/address.h"

#include <arpa/inet.h>

#include "base/text.h"

namespace kist::networks {
namespace {

Number mask_of(unsigned bits, unsigned width) {
  if (bits == 0) return 0;
  const Number all = width == 128 ? ~Number{0} : (Number{1} << width) - 1;
  return all & ~((Number{1} << (width - bits)) - 1);
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  const std::string copy(text);
  std::array<uint8_t, 16> bytes{};
  const bool is_v6 = text.find(':') != std::string_view::npos;
  if (text.size() > 64 || text.find('\0') != std::string_view::npos ||
      ::inet_pton(is_v6 ? AF_INET6 : AF_INET, copy.c_str(), bytes.data()) != 1)
    return Error(Code::invalid, "'{}' is no IP address", printable(text, 64));
  Number value = 0;
  for (size_t i = 0; i < (is_v6 ? 16u : 4u); ++i) value = value << 8 | bytes[i];
  return Address(value, is_v6);
}

std::array<uint8_t, 16> Address::bytes() const {
  std::array<uint8_t, 16> out{};
  for (size_t i = 0; i < size(); ++i) out[i] = static_cast<uint8_t>(value_ >> (8 * (size() - 1 - i)));
  return out;
}

std::string Address::text() const {
  char buffer[INET6_ADDRSTRLEN] = {};
  const auto raw = bytes();
  ::inet_ntop(is_v6_ ? AF_INET6 : AF_INET, raw.data(), buffer, sizeof buffer);
  return buffer;
}

bool Address::is_loopback() const { return is_v6_ ? value_ == 1 : (value_ >> 24) == 127; }

Result<Subnet> Subnet::parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return Error(Code::invalid, "'{}' is no subnet, want ADDRESS/BITS, for example 10.5.0.0/24", printable(text, 64));
  const Address inside = TRY(Address::parse(text.substr(0, slash)));
  const auto bits = parse_number(text.substr(slash + 1));
  if (!bits || *bits > inside.bits())
    return Error(Code::invalid, "'{}': the prefix has to be a number from 0 to {}", printable(text, 64), inside.bits());
  return of(inside, static_cast<unsigned>(*bits));
}

Subnet Subnet::of(const Address& inside, unsigned bits) {
  return {Address::of(inside.value() & mask_of(bits, inside.bits()), inside.is_v6()), bits};
}

Address Subnet::last() const {
  const Number all = mask_of(base_.bits(), base_.bits());
  return Address::of(base_.value() | (all & ~mask_of(bits_, base_.bits())), is_v6());
}

bool Subnet::contains(const Address& address) const {
  return address.is_v6() == is_v6() && (address.value() & mask_of(bits_, base_.bits())) == base_.value();
}

Result<std::array<uint8_t, 6>> parse_mac(std::string_view text) {
  std::array<uint8_t, 6> out{};
  const auto parts = split(text, ':');
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  bool good = parts.size() == out.size();
  for (size_t i = 0; good && i < out.size(); ++i) {
    const std::string part = to_lower(parts[i]);
    good = part.size() == 2 && digit(part[0]) >= 0 && digit(part[1]) >= 0;
    if (good) out[i] = static_cast<uint8_t>(digit(part[0]) * 16 + digit(part[1]));
  }
  if (!good || (out[0] & 1) != 0)
    return Error(Code::invalid, "'{}' is no MAC address of one interface, want for example 02:42:ac:11:00:02",
                 printable(text, 64));
  return out;
}

std::string mac_text(const std::array<uint8_t, 6>& mac) {
  return fmt::format("{:02x}", fmt::join(mac, ":"));
}

std::array<uint8_t, 6> mac_of(const Address& address) {
  const auto bytes = address.bytes();
  const size_t from = address.size() - 4;
  return {0x02, 0x42, bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]};
}

}  // namespace kist::networks

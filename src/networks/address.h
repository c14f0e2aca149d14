// Addresses and subnets of both families as values: parsed once, compared, counted with. Pure.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kist::networks {

__extension__ typedef unsigned __int128 Number;  // -Wpedantic: not ISO C++, but both compilers have it.

/// 4 or 16 bytes. Holding one proves that it was parsed, or computed from one that was.
class Address {
 public:
  /// "10.1.2.3", "fd00::7". Errors: invalid.
  static Result<Address> parse(std::string_view text);
  static Address of(Number value, bool is_v6) { return {value, is_v6}; }

  bool is_v6() const { return is_v6_; }
  unsigned bits() const { return is_v6_ ? 128 : 32; }
  Number value() const { return value_; }
  std::string text() const;
  /// In the order of the network; 4 or 16 are used.
  std::array<uint8_t, 16> bytes() const;
  size_t size() const { return is_v6_ ? 16 : 4; }
  bool is_loopback() const;
  bool is_any() const { return value_ == 0; }
  auto operator<=>(const Address&) const = default;

 private:
  Address(Number value, bool is_v6) : is_v6_(is_v6), value_(value) {}
  bool is_v6_;
  Number value_;
};

/// An address and how many of its bits are common. Bits beyond are zero.
class Subnet {
 public:
  /// "10.1.0.0/24"; bits beyond the prefix are cleared. Errors: invalid.
  static Result<Subnet> parse(std::string_view text);
  static Subnet of(const Address& inside, unsigned bits);

  const Address& base() const { return base_; }
  unsigned bits() const { return bits_; }
  bool is_v6() const { return base_.is_v6(); }
  /// The broadcast address in IPv4.
  Address last() const;
  bool contains(const Address& address) const;
  bool contains(const Subnet& other) const { return other.bits_ >= bits_ && contains(other.base_); }
  bool overlaps(const Subnet& other) const { return contains(other) || other.contains(*this); }
  std::string text() const { return fmt::format("{}/{}", base_.text(), bits_); }
  bool operator==(const Subnet&) const = default;

 private:
  Subnet(Address base, unsigned bits) : base_(base), bits_(bits) {}
  Address base_;
  unsigned bits_;
};

/// "02:42:0a:5a:00:02". Errors: invalid (also a multicast one).
Result<std::array<uint8_t, 6>> parse_mac(std::string_view text);
std::string mac_text(const std::array<uint8_t, 6>& mac);
/// One that goes with an address, so that a neighbour's table never becomes wrong.
std::array<uint8_t, 6> mac_of(const Address& address);

}  // namespace kist::networks

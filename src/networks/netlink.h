// Questions to the kernel over netlink: several in one message, one answer each. Why not libnl-route:
// docs/adr/0011-netlink-by-hand.md.
//
//   Batch batch;
//   batch.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{…}, "make the bridge");
//   batch.text(IFLA_IFNAME, "kist-1");
//   TRY(netlink.send(batch));
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace kist::networks {

/// Requests under way: each with a fixed part and attributes.
class Batch {
 public:
  /// `what` goes into the error if the kernel refuses: "make the bridge 'x'".
  template <class Fixed>
  void begin(uint16_t type, uint16_t flags, const Fixed& fixed, std::string what) {
    begin(type, flags, std::string_view(reinterpret_cast<const char*>(&fixed), sizeof fixed), std::move(what));
  }
  void begin(uint16_t type, uint16_t flags, std::string_view fixed, std::string what);
  void bytes(uint16_t attribute, std::string_view value);
  void text(uint16_t attribute, const std::string& value) { bytes(attribute, {value.c_str(), value.size() + 1}); }
  void number(uint16_t attribute, uint32_t value) { bytes(attribute, {reinterpret_cast<const char*>(&value), sizeof value}); }
  void byte(uint16_t attribute, uint8_t value) { bytes(attribute, {reinterpret_cast<const char*>(&value), sizeof value}); }
  /// Attributes until close() are inside of this one; `fixed` stands before them.
  void open(uint16_t attribute, std::string_view fixed = {});
  void close();
  size_t count() const { return what_.size(); }

 private:
  friend class Netlink;
  void append(std::string_view value);
  std::string text_;
  std::vector<std::string> what_;
  std::vector<size_t> open_;
  size_t message_ = 0;  // Where the last one begins.
};

/// One answer of a dump.
struct Answer {
  uint16_t type;
  std::string_view payload;  // Fixed part and attributes.

  template <class Fixed>
  bool fixed(Fixed& out) const {
    if (payload.size() < sizeof out) return false;
    std::memcpy(&out, payload.data(), sizeof out);
    return true;
  }
  /// Empty when there is no such attribute. `fixed_bytes`: what stands before them.
  std::string_view attribute(uint16_t wanted, size_t fixed_bytes) const;
};

/// A socket in the network namespace that this process was in when it was opened; it stays there.
class Netlink {
 public:
  static Result<Netlink> open(int protocol = NETLINK_ROUTE);
  /// All of them are tried, in order. Errors: of the first that failed: exists, not_found, denied …
  Result<void> send(const Batch& batch) const;
  /// Asks for a list; the batch has one request.
  Result<void> dump(const Batch& batch, const std::function<void(const Answer&)>& take) const;
  /// The interface of this name; 0: there is none. A microsecond.
  uint32_t index_of(const std::string& name) const;

 private:
  explicit Netlink(os::Fd socket) : socket_(std::move(socket)) {}
  os::Fd socket_;
};

}  // namespace kist::networks

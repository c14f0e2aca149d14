// Messages of the domain name system (RFC 1035), as far as answering for the names of a hosts file takes. Pure.
// What comes in is hostile: sizes are bounded, and nothing is followed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "networks/address.h"

namespace kist::networks {

constexpr size_t kDnsHeaderBytes = 12;
constexpr uint16_t kTypeA = 1, kTypePtr = 12, kTypeAaaa = 28, kClassInternet = 1;
enum class DnsCode : uint8_t { ok = 0, server_failed = 2 };

struct DnsQuestion {
  std::string name;  // Lower case, without the last dot.
  uint16_t type = 0;
  uint16_t of_class = 0;
  size_t end = 0;    // Where in the message it ends.
};

/// None: no question, several, or none that is well-formed.
std::optional<DnsQuestion> read_question(std::string_view message);

/// What everybody takes in one datagram, and what fits into a stream.
constexpr size_t kDatagramBytes = 512, kStreamBytes = 65'535;

/// The answer to a message whose question is `question`; of the addresses, those that it asks for. What does not
/// fit into `most_bytes` is left out, and the answer says so.
std::string answer_to(std::string_view message, const DnsQuestion& question, const std::vector<Address>& addresses,
                      DnsCode code = DnsCode::ok, size_t most_bytes = kDatagramBytes);
/// The answer to a question for the name of an address.
std::string name_answer_to(std::string_view message, const DnsQuestion& question, std::string_view name);
/// The address of "2.0.1.10.in-addr.arpa", or of its like of IPv6.
std::optional<Address> reverse_address(std::string_view name);

uint16_t id_of(std::string_view message);
void set_id(std::string& message, uint16_t id);
/// Whether it may be the answer to a question that was sent with this id.
bool is_answer(std::string_view message, uint16_t id);

/// The first name of an address in the text of a hosts file. Empty: it does not have the address.
std::string name_in(std::string_view hosts, const Address& address);
/// The addresses of a name in the text of a hosts file. Empty: it does not have the name.
std::vector<Address> addresses_in(std::string_view hosts, std::string_view name);

}  // namespace kist::networks

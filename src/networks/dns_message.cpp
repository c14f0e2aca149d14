#include "networks/dns_message.h"

#include "base/text.h"

namespace kist::networks {
namespace {

constexpr size_t kMostLabelBytes = 63;
constexpr size_t kMostNameBytes = 253;
constexpr size_t kMostAnswerBytes = 512;
constexpr uint32_t kSecondsToLive = 5;  // Containers come and go.

uint16_t number_at(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
}

void add_number(std::string& out, uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

}  // namespace

std::optional<DnsQuestion> read_question(std::string_view message) {
  constexpr uint16_t kIsAnswerOrNoQuery = 0xf800;
  if (message.size() < kDnsHeaderBytes || (number_at(message, 2) & kIsAnswerOrNoQuery) != 0 || number_at(message, 4) != 1)
    return {};
  DnsQuestion out;
  size_t at = kDnsHeaderBytes;
  for (;;) {
    if (at >= message.size()) return {};
    const size_t size = static_cast<uint8_t>(message[at++]);
    if (size == 0) break;
    // Longer ones are pointers, which a question has no use for.
    if (size > kMostLabelBytes || size > message.size() - at) return {};
    if (!out.name.empty()) out.name += '.';
    out.name += to_lower(message.substr(at, size));
    if (out.name.size() > kMostNameBytes) return {};
    at += size;
  }
  if (message.size() - at < 4) return {};
  out.type = number_at(message, at);
  out.of_class = number_at(message, at + 2);
  out.end = at + 4;
  return out;
}

std::string answer_to(std::string_view message, const DnsQuestion& question, const std::vector<Address>& addresses, DnsCode code) {
  constexpr uint16_t kAnswer = 0x8000, kWantsRecursion = 0x0100, kHasRecursion = 0x0080, kByAuthority = 0x0400;
  constexpr uint16_t kTheQuestionsName = 0xc000 | kDnsHeaderBytes;
  const uint16_t flags = static_cast<uint16_t>(kAnswer | kHasRecursion | (number_at(message, 2) & kWantsRecursion) |
                                               (code == DnsCode::ok ? kByAuthority : 0) | static_cast<uint16_t>(code));
  std::string out(message.substr(0, 2));
  add_number(out, flags);
  add_number(out, 1);
  out.append(6, '\0');  // The numbers of records; that of answers is set below.
  out += message.substr(kDnsHeaderBytes, question.end - kDnsHeaderBytes);
  uint8_t count = 0;
  for (const Address& address : addresses) {
    if (question.type != (address.is_v6() ? kTypeAaaa : kTypeA)) continue;
    constexpr size_t kBeforeAddress = 12;
    if (out.size() + kBeforeAddress + address.size() > kMostAnswerBytes) break;
    add_number(out, kTheQuestionsName);
    add_number(out, question.type);
    add_number(out, kClassInternet);
    add_number(out, 0);
    add_number(out, kSecondsToLive);
    add_number(out, static_cast<uint16_t>(address.size()));
    const auto bytes = address.bytes();
    out.append(reinterpret_cast<const char*>(bytes.data()), address.size());
    ++count;
  }
  constexpr size_t kLowByteOfCount = 7;
  out[kLowByteOfCount] = static_cast<char>(count);
  return out;
}

uint16_t id_of(std::string_view message) { return message.size() < 2 ? 0 : number_at(message, 0); }

void set_id(std::string& message, uint16_t id) {
  if (message.size() < 2) return;
  message[0] = static_cast<char>(id >> 8);
  message[1] = static_cast<char>(id & 0xff);
}

bool is_answer(std::string_view message, uint16_t id) {
  constexpr uint16_t kAnswer = 0x8000;
  return message.size() >= kDnsHeaderBytes && id_of(message) == id && (number_at(message, 2) & kAnswer) != 0;
}

std::vector<Address> addresses_in(std::string_view hosts, std::string_view name) {
  std::vector<Address> out;
  for (std::string_view line : lines(hosts)) {
    line = line.substr(0, line.find('#'));
    std::optional<Address> address;
    bool is_first = true;
    while (!line.empty()) {
      const size_t begin = line.find_first_not_of(" \t");
      if (begin == std::string_view::npos) break;
      const size_t end = std::min(line.find_first_of(" \t", begin), line.size());
      const std::string_view word = line.substr(begin, end - begin);
      line.remove_prefix(end);
      if (is_first) {
        const auto parsed = Address::parse(word);
        if (!parsed) break;
        address = *parsed;
        is_first = false;
      } else if (to_lower(word) == name) {
        out.push_back(*address);
        break;
      }
    }
  }
  return out;
}

}  // namespace kist::networks

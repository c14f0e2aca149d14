#include "networks/dns_message.h"

#include <algorithm>

#include "base/text.h"

namespace kist::networks {
namespace {

constexpr size_t kMostLabelBytes = 63;
constexpr size_t kMostNameBytes = 253;
constexpr uint32_t kSecondsToLive = 5;  // Containers come and go.

uint16_t number_at(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
}

void add_number(std::string& out, uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

// Header and question; no records yet.
std::string beginning_of_answer(std::string_view message, const DnsQuestion& question, DnsCode code) {
  constexpr uint16_t kAnswer = 0x8000, kWantsRecursion = 0x0100, kHasRecursion = 0x0080, kByAuthority = 0x0400;
  const uint16_t flags = static_cast<uint16_t>(kAnswer | kHasRecursion | (number_at(message, 2) & kWantsRecursion) |
                                               (code == DnsCode::ok ? kByAuthority : 0) | static_cast<uint16_t>(code));
  std::string out(message.substr(0, 2));
  add_number(out, flags);
  add_number(out, 1);
  out.append(6, '\0');  // The numbers of records.
  return out.append(message.substr(kDnsHeaderBytes, question.end - kDnsHeaderBytes));
}

constexpr size_t kBeforeData = 12;
void add_record(std::string& out, uint16_t type, std::string_view data) {
  constexpr uint16_t kTheQuestionsName = 0xc000 | kDnsHeaderBytes;
  add_number(out, kTheQuestionsName);
  add_number(out, type);
  add_number(out, kClassInternet);
  add_number(out, 0);
  add_number(out, kSecondsToLive);
  add_number(out, static_cast<uint16_t>(data.size()));
  out += data;
}

void set_count(std::string& out, uint16_t count) {
  constexpr size_t kAt = 6;
  out[kAt] = static_cast<char>(count >> 8);
  out[kAt + 1] = static_cast<char>(count & 0xff);
}

// The words of a line of a hosts file; the first is the address.
std::vector<std::string_view> words_of(std::string_view line) {
  line = line.substr(0, line.find('#'));
  std::vector<std::string_view> out;
  for (;;) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return out;
    const size_t end = std::min(line.find_first_of(" \t", begin), line.size());
    out.push_back(line.substr(begin, end - begin));
    line.remove_prefix(end);
  }
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

std::string answer_to(std::string_view message, const DnsQuestion& question, const std::vector<Address>& addresses, DnsCode code,
                      size_t most_bytes) {
  std::string out = beginning_of_answer(message, question, code);
  uint16_t count = 0;
  for (const Address& address : addresses) {
    if (question.type != (address.is_v6() ? kTypeAaaa : kTypeA)) continue;
    if (out.size() + kBeforeData + address.size() > most_bytes) {
      constexpr char kTruncated = 0x02;
      out[2] = static_cast<char>(out[2] | kTruncated);
      break;
    }
    const auto bytes = address.bytes();
    add_record(out, question.type, {reinterpret_cast<const char*>(bytes.data()), address.size()});
    ++count;
  }
  set_count(out, count);
  return out;
}

std::string name_answer_to(std::string_view message, const DnsQuestion& question, std::string_view name) {
  std::string data;
  for (const std::string_view label : split(name, '.')) {
    // A hosts file may have names that the protocol cannot say.
    if (label.empty() || label.size() > kMostLabelBytes || name.size() > kMostNameBytes)
      return beginning_of_answer(message, question, DnsCode::server_failed);
    data += static_cast<char>(label.size());
    data += label;
  }
  data += '\0';
  std::string out = beginning_of_answer(message, question, DnsCode::ok);
  add_record(out, kTypePtr, data);
  set_count(out, 1);
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
  for (const std::string_view line : lines(hosts)) {
    const auto words = words_of(line);
    const bool has_name = std::any_of(words.begin() + (words.empty() ? 0 : 1), words.end(), [&](std::string_view word) { return to_lower(word) == name; });
    if (!has_name) continue;
    if (const auto address = Address::parse(words[0])) out.push_back(*address);
  }
  return out;
}

std::string name_in(std::string_view hosts, const Address& wanted) {
  for (const std::string_view line : lines(hosts)) {
    const auto words = words_of(line);
    if (words.size() < 2) continue;
    const auto address = Address::parse(words[0]);
    if (address && *address == wanted) return std::string(words[1]);
  }
  return {};
}

std::optional<Address> reverse_address(std::string_view name) {
  constexpr std::string_view kV4 = ".in-addr.arpa", kV6 = ".ip6.arpa";
  const bool is_v6 = name.ends_with(kV6);
  if (!is_v6 && !name.ends_with(kV4)) return {};
  const auto parts = split(name.substr(0, name.size() - (is_v6 ? kV6 : kV4).size()), '.');
  constexpr size_t kBytes = 4, kDigits = 32, kDigitsOfGroup = 4;
  if (parts.size() != (is_v6 ? kDigits : kBytes)) return {};
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (is_v6 && parts[parts.size() - 1 - i].size() != 1) return {};
    if (i > 0 && (!is_v6 || i % kDigitsOfGroup == 0)) text += is_v6 ? ':' : '.';
    text += parts[parts.size() - 1 - i];
  }
  const auto address = Address::parse(text);
  return address && address->is_v6() == is_v6 ? std::optional<Address>(*address) : std::nullopt;
}

}  // namespace kist::networks

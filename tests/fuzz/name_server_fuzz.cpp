// What containers send to their name server, what they write into their hosts files, and what the kernel says of
// connections.
#include "fuzz.h"
#include "networks/dns_message.h"
#include "networks/flows.h"
#include "networks/name_streams.h"

namespace kist::fuzz {

std::vector<std::string> seeds() {
  using std::string_literals::operator""s;
  return {"\x12\x34\x01\0\0\1\0\0\0\0\0\0\2db\3lab\0\0\1\0\1"s, "\x12\x34\x01\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"s,
          "10.1.0.2\tdb postgres # x\nfd00::2 db\n"};
}

}  // namespace kist::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kist;
  const std::string_view text = fuzz::text_of(data, size);
  const auto known = networks::addresses_in(text, "db");
  std::vector<networks::Address> addresses(known.begin(), known.end());
  addresses.insert(addresses.end(), 40, networks::Address::of(size, size % 2 == 0));
  if (const auto question = networks::read_question(text)) {
    fuzz::expect(question->end <= size && question->name.size() <= 253, "a question lies in its message");
    if (const auto address = networks::reverse_address(question->name)) (void)networks::name_in(text, *address);
    const std::string named = networks::name_answer_to(text, *question, text.substr(0, size % 300));
    fuzz::expect(networks::is_answer(named, networks::id_of(text)), "a name is an answer");
    const std::string answer = networks::answer_to(text, *question, addresses);
    fuzz::expect(answer.size() <= 512, "an answer is one that everybody takes");
    fuzz::expect(networks::is_answer(answer, networks::id_of(text)), "an answer is that of its question");
    fuzz::expect(answer.substr(12, question->end - 12) == text.substr(12, question->end - 12), "an answer repeats its question");
    fuzz::expect(!networks::read_question(answer), "an answer is no question");
  }
  fuzz::expect(networks::first_message(text).size() <= size, "a message lies in its stream");
  const networks::Flow flow = networks::read_flow(text);
  networks::Endpoint endpoint;
  endpoint.ipv4 = "10.1.0.2";
  endpoint.ports = {{"", 53, 53, "udp"}};
  fuzz::expect(!(networks::is_of(flow, endpoint) && networks::is_astray(flow, endpoint)), "what is ours is not astray");
  return 0;
}
